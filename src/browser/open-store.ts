import { transfer } from "comlink";
import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions, ProgressCallback } from "../progress.ts";
import { changeChannel } from "../thread/change-channel.ts";
import { operationPort } from "../thread/operation-port.ts";
import type { OpenOptions } from "../thread/store-api.ts";
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
  /** Ends the wait; the promise then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * Called while opening takes time. Phases: `waiting for another tab`, which has an older version of this page open and has to be closed
   * or reloaded; `waiting for the database`, where the browser doesn't tell why; `upgrading`, in objects, a store of an older version.
   */
  onProgress?: ProgressCallback | undefined;
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
  const openOptions: OpenOptions = {
    storage: options.storage ?? "auto",
    durability: options.durability ?? "strict",
    workers,
    hashWorkerUrl: options.hashWorkerUrl === undefined ? undefined : new URL(options.hashWorkerUrl, location.href).href,
  };
  const worker = await StoreWorker.start(createWorker(options.workerUrl), options.signal);
  try {
    const report = await waited(worker, options, (port) => worker.api.open(name, openOptions, transfer(port, [port])));
    const store = new Store(name, worker, changeChannel(name), { ...report, evicted: wasEvicted(name, report.id) });
    worker.watchStorage(store, (what) => {
      if (what === "database") store.endEvicted();
      else
        worker.end(new StoreError("unavailable", `the browser has cleared the files of the store ${quote(name)}; open it again`));
    });
    return store;
  } catch (error) {
    // Without a farewell: a worker that waits for its database would not answer.
    worker.terminate();
    throw error;
  }
}

/**
 * Deletes a store with all that is in it. Wherever it is open, in other tabs too, it is closed first; what is under way there rejects.
 * `onProgress` is called with the phase `waiting for another tab` as by `openStore`. An abort ends the wait; the browser may delete the
 * store all the same when that tab is closed.
 *
 * @throws StoreError `unavailable` if the browser refuses
 */
export async function deleteStore(
  name: string,
  options: Pick<OpenStoreOptions, "workerUrl" | "signal" | "onProgress"> = {},
): Promise<void> {
  const worker = await StoreWorker.start(createWorker(options.workerUrl), options.signal);
  try {
    await waited(worker, options, (port) => worker.api.destroy(name, transfer(port, [port])));
    forget(name);
  } finally {
    worker.terminate();
  }
}

/** A call that may wait for other tabs. A worker that waits is ended, so it need not hear of an abort. */
async function waited<T>(
  worker: StoreWorker,
  { signal, onProgress }: OperationOptions,
  start: (port: MessagePort) => Promise<T>,
): Promise<T> {
  const { port, finish } = operationPort({ onProgress });
  try {
    return await untilAborted(worker.call(start(port)), signal);
  } finally {
    finish();
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
