import { type Remote, releaseProxy, wrap } from "comlink";
import type { OpenedBackend } from "../../src/conformance/suite-backend.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { StoreDatabase } from "../../src/worker/database.ts";
import { IndexedDbPacks } from "../../src/worker/indexeddb-packs.ts";
import type { PackStore } from "../../src/worker/pack-store.ts";
import { writePacked } from "../../src/worker/packed-services.ts";
import { PackedStore } from "../../src/worker/packed-store.ts";
import { PackGone } from "../../src/worker/storage-error.ts";
import { StoreLocks } from "../../src/worker/store-locks.ts";
import type { OpfsApi } from "./opfs-worker.browser.ts";

let worker: Promise<Remote<OpfsApi>> | undefined;

/** Starts one worker for all tests of a page. */
function opfsWorker(): Promise<Remote<OpfsApi>> {
  worker ??= new Promise((resolve, reject) => {
    const started = new Worker(new URL("./opfs-worker.browser.ts", import.meta.url), { type: "module" });
    started.addEventListener("message", () => resolve(wrap<OpfsApi>(started)), { once: true });
    started.addEventListener("error", () => reject(new Error("the worker for OPFS failed")), { once: true });
  });
  return worker;
}

export async function hasOpfs(): Promise<boolean> {
  return (await opfsWorker()).available("probe");
}

/** Opens packs in OPFS, in the worker. Each call opens them with new handles, like another tab. */
export async function opfsPacks(store: string): Promise<PackStore> {
  const api = await opfsWorker();
  const number = await api.open(store);
  return {
    create: async (id) => {
      const writer = await api.create(number, id);
      return {
        append: (bytes) => writer.append(bytes),
        read: (range) => writer.read(range),
        finish: (sync) => last(writer, () => writer.finish(sync)),
        abort: () => last(writer, () => writer.abort()),
      };
    },
    read: async (id, ranges) => {
      const found = await api.read(number, id, [...ranges]);
      if ("gone" in found) throw new PackGone(id, found.gone);
      return found;
    },
    size: async (id) => {
      const found = await api.size(number, id);
      if (typeof found !== "number") throw new PackGone(id, found.gone);
      return found;
    },
    list: () => api.list(number),
    missing: (ids) => api.missing(number, [...ids]),
    delete: (id) => api.delete(number, id),
    release: (id) => void api.release(number, id),
    close: () => void api.close(number),
  };
}

/**
 * Makes the last call of a proxy, and releases the proxy once the call is answered. This keeps a
 * reference to the proxy until then. If the proxy were garbage-collected earlier, Comlink would
 * close its port and the answer would be lost.
 */
async function last(proxy: { [releaseProxy](): void }, call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } finally {
    proxy[releaseProxy]();
  }
}

export async function openPacked(storage: "opfs" | "indexeddb", name: string = crypto.randomUUID()): Promise<PackedStore> {
  const database = new StoreDatabase(name);
  const packs = { indexeddb: new IndexedDbPacks(database), ...(storage === "opfs" && { opfs: await opfsPacks(name) }) };
  const store = new PackedStore(database, new StoreLocks(name), packs, storage);
  await store.refresh();
  return store;
}

/** Opens a store with a single session that lasts as long as the suite. */
export async function openPackedBackend(storage: "opfs" | "indexeddb"): Promise<OpenedBackend> {
  const store = await openPacked(storage);
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return new Promise((resolve, reject) => {
    const session = writePacked(store, new InlineHashEngine(), { durability: "relaxed" }, async (services) => {
      const close = async (): Promise<void> => {
        end();
        await session;
        store.close();
        await store.database.close();
      };
      resolve({ store: services, close });
      await ended;
    });
    session.catch(reject);
  });
}
