import { createMemoryStore } from "../../src/backends/memory.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { StoreDatabase } from "../../src/worker/indexeddb.ts";
import { createIndexedDbStore } from "../../src/worker/indexeddb-store.ts";
import { blobServiceSuite } from "./blob-service.ts";
import { directoryServiceSuite } from "./directory-service.ts";
import type { Backend, BackendsIn } from "./matrix.ts";
import { pathInfoServiceSuite } from "./path-info-service.ts";

const BACKENDS: Record<BackendsIn<"browser">, Omit<Backend, "name">> = {
  memory: { canDelete: true, open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  indexeddb: {
    canDelete: true,
    open: async () => {
      const database = new StoreDatabase(crypto.randomUUID());
      return { store: createIndexedDbStore(database, new InlineHashEngine()), close: () => database.close() };
    },
  },
};

for (const [name, backend] of Object.entries(BACKENDS)) {
  blobServiceSuite({ name, ...backend });
  directoryServiceSuite({ name, ...backend });
  pathInfoServiceSuite({ name, ...backend });
}
