import { test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { blobServiceSuite } from "./blob-service.ts";
import { SUITE_DAEMONS } from "./daemon-urls.ts";
import { directoryServiceSuite } from "./directory-service.ts";
import type { Backend, BackendsIn } from "./matrix.ts";
import { packStoreSuite } from "./pack-store.browser.ts";
import { openPackedBackend } from "./packed-backend.browser.ts";
import { pathInfoServiceSuite } from "./path-info-service.ts";

const daemons = [...SUITE_DAEMONS];

function overHttp(protocol: "connect" | "grpc-web"): Omit<Backend, "name"> {
  return {
    canDelete: false,
    open: async () => {
      const url = daemons.pop();
      if (!url) throw new Error("there are too few daemons; increase DAEMONS in daemon-for-browser.ts");
      const transport = createBrowserTransport({ baseUrl: url, protocol });
      return { store: connectRemoteStore(transport, { name: url }), close: async () => {} };
    },
  };
}

const BACKENDS: Record<BackendsIn<"browser">, Omit<Backend, "name">> = {
  memory: { canDelete: true, open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  "memory, cached": {
    canDelete: true,
    open: async () => {
      const store = createMemoryStore();
      return { store: { ...store, directories: new CachedDirectories(store.directories) }, close: async () => {} };
    },
  },
  "packs in IndexedDB": { canDelete: true, open: () => openPackedBackend("indexeddb") },
  "packs in OPFS": { canDelete: true, open: () => openPackedBackend("opfs") },
  "remote over Connect": overHttp("connect"),
  "remote over gRPC-Web": overHttp("grpc-web"),
};

/** Whether the browser has OPFS. WebKitGTK doesn't. */
const hasOpfs = typeof navigator.storage?.getDirectory === "function";
if (!hasOpfs) test.skip("packs in OPFS, and PackStore: OPFS (this browser has no OPFS)", () => {});

for (const [name, backend] of Object.entries(BACKENDS)) {
  if (name === "packs in OPFS" && !hasOpfs) continue;
  blobServiceSuite({ name, ...backend });
  directoryServiceSuite({ name, ...backend });
  pathInfoServiceSuite({ name, ...backend });
}

packStoreSuite("IndexedDB");
if (hasOpfs) packStoreSuite("OPFS");
