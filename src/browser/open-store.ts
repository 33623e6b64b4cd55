import { StoreError } from "../error.ts";
import { changeChannel } from "../thread/change-channel.ts";
import { untilAborted } from "../until-aborted.ts";
import { forget, wasEvicted } from "./eviction.ts";
import { Store } from "./store.ts";
import { StoreWorker } from "./store-worker-client.ts";

export interface OpenStoreOptions {
  /** Where new content is kept: `auto` takes OPFS where the browser has it. What was kept elsewhere before stays there, and is found. */
  storage?: "auto" | "opfs" | "indexeddb" | undefined;
  /**
   * What is certain when an import or pull resolves: with `strict`, the default, that it survives a power cut; with `relaxed`, which is a
   * little faster, that it survives the end of the browser, however sudden.
   */
  durability?: "strict" | "relaxed" | undefined;
  /**
   * How many hash workers; by default as many as the machine has cores, at least two, at most four. A store path's content is hashed twice:
   * with BLAKE3, and as a NAR with SHA-256, which can't be split.
   */
  workers?: number | undefined;
  /** Of `tvix-store-web/worker`, where the bundler doesn't find it by itself. */
  workerUrl?: string | URL | undefined;
  /** Of `tvix-store-web/hash-worker`; by default the file of that name beside the worker. */
  hashWorkerUrl?: string | URL | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Opens the store of this name and origin, or makes an empty one. Any number of tabs may have it open at once.
 *
 * @throws StoreError `invalid` for options that make no sense; `unavailable` if the browser lacks what it takes (workers, IndexedDB), or refuses it
 */
export async function openStore(name: string, options: OpenStoreOptions = {}): Promise<Store> {
  if (typeof name !== "string" || name === "") throw new StoreError("invalid", "a store needs a name");
  const workers = options.workers ?? defaultWorkers();
  if (!Number.isInteger(workers) || workers < 1)
    throw new StoreError("invalid", `a store needs at least one hash worker, not ${workers}`);
  if (typeof Worker !== "function") throw new StoreError("unavailable", "this browser has no workers");
  const worker = await StoreWorker.start(createWorker(options.workerUrl), options.signal);
  try {
    const opening = worker.api.open(name, {
      storage: options.storage ?? "auto",
      durability: options.durability ?? "strict",
      workers,
      hashWorkerUrl: options.hashWorkerUrl === undefined ? undefined : new URL(options.hashWorkerUrl, location.href).href,
    });
    const { id, storage, missingPacks } = await untilAborted(worker.call(opening), options.signal);
    return new Store(name, worker, changeChannel(name), { storage, missingPacks, evicted: wasEvicted(name, id) });
  } catch (error) {
    // Without a farewell: a worker that waits for its database would not answer.
    worker.terminate();
    throw error;
  }
}

/**
 * Deletes a store with all that is in it. Wherever it is open, in other tabs too, it is closed first; what is under way there rejects.
 *
 * @throws StoreError `unavailable` if the browser refuses
 */
export async function deleteStore(name: string, options: Pick<OpenStoreOptions, "workerUrl" | "signal"> = {}): Promise<void> {
  const worker = await StoreWorker.start(createWorker(options.workerUrl), options.signal);
  try {
    await untilAborted(worker.call(worker.api.destroy(name)), options.signal);
    forget(name);
  } finally {
    worker.terminate();
  }
}

/** The literal form is what bundlers look for. */
function createWorker(url: string | URL | undefined): Worker {
  const name = "tvix-store-web";
  if (url !== undefined) return new Worker(url, { type: "module", name });
  return new Worker(new URL("../worker/store-worker.js", import.meta.url), { type: "module", name });
}

function defaultWorkers(): number {
  return Math.min(Math.max(navigator.hardwareConcurrency ?? 2, 2), 4);
}
