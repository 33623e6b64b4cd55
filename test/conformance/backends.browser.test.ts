import { createMemoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { StoreDatabase } from "../../src/worker/indexeddb.ts";
import { createIndexedDbStore } from "../../src/worker/indexeddb-store.ts";
import { blobServiceSuite } from "./blob-service.ts";
import { SUITE_DAEMONS } from "./daemon-urls.ts";
import { directoryServiceSuite } from "./directory-service.ts";
import type { Backend, BackendsIn } from "./matrix.ts";
import { pathInfoServiceSuite } from "./path-info-service.ts";

const daemons = [...SUITE_DAEMONS];

function overHttp(protocol: "connect" | "grpc-web"): Omit<Backend, "name"> {
  return {
    canDelete: false,
    open: async () => {
      const url = daemons.pop();
      if (!url) throw new Error("there are too few daemons: see daemon-for-browser.ts");
      const transport = createBrowserTransport({ baseUrl: url, protocol });
      return { store: connectRemoteStore(transport, { name: url }), close: async () => {} };
    },
  };
}

const BACKENDS: Record<BackendsIn<"browser">, Omit<Backend, "name">> = {
  memory: { canDelete: true, open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  indexeddb: {
    canDelete: true,
    open: async () => {
      const database = new StoreDatabase(crypto.randomUUID());
      return { store: createIndexedDbStore(database, new InlineHashEngine()), close: () => database.close() };
    },
  },
  "remote over Connect": overHttp("connect"),
  "remote over gRPC-Web": overHttp("grpc-web"),
};

for (const [name, backend] of Object.entries(BACKENDS)) {
  blobServiceSuite({ name, ...backend });
  directoryServiceSuite({ name, ...backend });
  pathInfoServiceSuite({ name, ...backend });
}
