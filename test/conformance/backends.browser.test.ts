import { test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { blobServiceSuite } from "../../src/conformance/blob-service.ts";
import { directoryServiceSuite } from "../../src/conformance/directory-service.ts";
import { pathInfoServiceSuite } from "../../src/conformance/path-info-service.ts";
import type { SuiteBackend } from "../../src/conformance/suite-backend.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { connectRemoteAddress } from "../../src/worker/connect-remote.ts";
import { SUITE_DAEMONS } from "./daemon-urls.ts";
import { type OpenedInBrowser, ROWS } from "./matrix.ts";
import { packStoreSuite } from "./pack-store.browser.ts";
import { openPackedBackend } from "./packed-backend.browser.ts";

const daemons = [...SUITE_DAEMONS];

type Opener = Pick<SuiteBackend, "open">;

function overHttp(protocol: "connect" | "grpc-web"): Opener {
  return {
    open: async () => {
      const url = daemons.pop();
      if (!url) throw new Error("there are too few daemons; increase DAEMONS in daemon-for-browser.ts");
      const address = { url, protocol, dialect: "auto", headers: [] } as const;
      return { store: connectRemoteAddress(address, new InlineHashEngine()), close: async () => {} };
    },
  };
}

const OPENERS: Record<OpenedInBrowser, Opener> = {
  memory: { open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  "memory, cached": {
    open: async () => {
      const store = createMemoryStore();
      return { store: { ...store, directories: new CachedDirectories(store.directories) }, close: async () => {} };
    },
  },
  "packs in IndexedDB": { open: () => openPackedBackend("indexeddb") },
  "packs in OPFS": { open: () => openPackedBackend("opfs") },
  "remote over Connect": overHttp("connect"),
  "remote over gRPC-Web": overHttp("grpc-web"),
};

/** Whether the browser has OPFS. WebKitGTK doesn't. */
const hasOpfs = typeof navigator.storage?.getDirectory === "function";
if (!hasOpfs) test.skip("packs in OPFS, and PackStore: OPFS (this browser has no OPFS)", () => {});

for (const [name, opener] of Object.entries(OPENERS)) {
  if (name === "packs in OPFS" && !hasOpfs) continue;
  const backend = { name, canDelete: ROWS[name]?.canDelete, ...opener };
  blobServiceSuite(backend);
  directoryServiceSuite(backend);
  pathInfoServiceSuite(backend);
}

packStoreSuite("IndexedDB");
if (hasOpfs) packStoreSuite("OPFS");
