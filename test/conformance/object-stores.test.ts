import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryObjectStore } from "../../src/backends/memory-objects.ts";
import { objectStoreSuite, type SuiteObjectStore } from "../../src/conformance/object-store.ts";
import { LmdbEnvironment } from "../../src/node/lmdb.ts";
import { FileObjectStore } from "../../src/node/objects/file-object-store.ts";
import { ObjectJournal } from "../../src/node/objects/object-journal.ts";
import { StagedObjectStore } from "../../src/node/objects/staged-object-store.ts";
import type { OBJECT_STORES } from "./matrix.ts";

type Opener = SuiteObjectStore["open"];

/** Opens a store in a new directory, which is deleted after it is closed. */
function inDirectory(open: (dir: string) => ReturnType<Opener>): Opener {
  return async () => {
    const dir = await mkdtemp(join(tmpdir(), "object-store-"));
    const { store, close } = await open(dir);
    return {
      store,
      async close() {
        await close();
        await rm(dir, { recursive: true });
      },
    };
  };
}

/** Beginnings of the suite's keys. */
const KEYS = ["many/", "owned/", "ranges/", "limits/", "list/"];

const OPENERS: Record<keyof typeof OBJECT_STORES, Opener> = {
  memory: async () => ({ store: new MemoryObjectStore(), close: async () => {} }),
  files: inDirectory(async (dir) => ({ store: await FileObjectStore.open(dir), close: async () => {} })),
  "files, staged": inDirectory(async (dir) => {
    const store = new StagedObjectStore(dir, await FileObjectStore.open(dir));
    return { store, close: () => store.close() };
  }),
  "files, staged, with a journal": inDirectory(async (dir) => {
    const environment = await LmdbEnvironment.open(join(dir, "journal.lmdb"));
    const store = new StagedObjectStore(dir, await FileObjectStore.open(dir), new ObjectJournal(environment, KEYS));
    return {
      store,
      async close() {
        await store.close();
        await environment.close();
      },
    };
  }),
};

for (const [name, open] of Object.entries(OPENERS)) objectStoreSuite({ name, open });
