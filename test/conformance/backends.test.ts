import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { parseAddress } from "../../src/node/addresses.ts";
import { openEmbeddedStore } from "../../src/node/embedded-store.ts";
import { connectGrpc } from "../../src/node/grpc.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { blobServiceSuite } from "./blob-service.ts";
import { directoryServiceSuite } from "./directory-service.ts";
import { startLiveDaemon } from "./live-daemon.ts";
import type { Backend, BackendsIn } from "./matrix.ts";
import { pathInfoServiceSuite } from "./path-info-service.ts";

function overHttp(protocol: "connect" | "grpc-web"): Omit<Backend, "name"> {
  return {
    canDelete: false,
    open: async () => {
      const daemon = await startLiveDaemon();
      const transport = createBrowserTransport({ baseUrl: daemon.address, protocol });
      return { store: connectRemoteStore(transport, { name: daemon.address }), close: () => daemon.close() };
    },
  };
}

const BACKENDS: Record<BackendsIn<"node">, Omit<Backend, "name">> = {
  memory: { canDelete: true, open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  "memory, cached": {
    canDelete: true,
    open: async () => {
      const store = createMemoryStore();
      return { store: { ...store, directories: new CachedDirectories(store.directories) }, close: async () => {} };
    },
  },
  embedded: {
    canDelete: true,
    open: async () => {
      const dir = await mkdtemp(join(tmpdir(), "embedded-"));
      const store = await openEmbeddedStore(dir);
      const close = async () => {
        await store.close();
        await rm(dir, { recursive: true });
      };
      return { store, close };
    },
  },
  "remote over gRPC": {
    canDelete: false,
    open: async () => {
      const daemon = await startLiveDaemon();
      const address = parseAddress(daemon.address.replace("http:", "grpc+http:"));
      if (address.scheme !== "grpc+http") throw new Error(`unexpected scheme ${address.scheme}`);
      const connection = connectGrpc(address);
      const close = async () => {
        await connection.close();
        await daemon.close();
      };
      return { store: connectRemoteStore(connection.transport, { name: daemon.address }), close };
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
