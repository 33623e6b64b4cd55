import { transfer } from "comlink";
import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions, ProgressCallback } from "../progress.ts";
import { acquiring } from "../resource-stack.ts";
import { changeChannel } from "../thread/change-channel.ts";
import { operationPort } from "../thread/operation-port.ts";
import type { OpenOptions } from "../thread/store-api.ts";
import { untilAborted } from "../until-aborted.ts";
import { forget, wasEvicted } from "./eviction.ts";
import { Store } from "./store.ts";
import { StoreWorker } from "./store-worker-client.ts";

export interface OpenStoreOptions {
  /**
   * Storage for new content. `auto` chooses OPFS if the browser has it. Content in the other
   * storage stays there and remains readable.
   */
  storage?: "auto" | "opfs" | "indexeddb" | undefined;
  /**
   * The guarantee when an import or pull resolves. `strict`, the default: the data survives a power
   * cut. `relaxed`, which is a little faster: the data survives a crash of the browser.
   */
  durability?: "strict" | "relaxed" | undefined;
  /**
   * Number of hash workers. Default: the number of cores, but at least two and at most four. The
   * content of a store path is hashed twice: with BLAKE3, and as a NAR with SHA-256, which can't
   * run in parallel.
   */
  workers?: number | undefined;
  /** URL of `tvix-store-web/worker`, if the bundler does not find it by itself. */
  workerUrl?: string | URL | undefined;
  /** URL of `tvix-store-web/hash-worker`; by default the file of that name beside the worker. */
  hashWorkerUrl?: string | URL | undefined;
  /** Ends the wait; the promise then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * Called while opening takes time. Phases:
   *
   * - `waiting for another tab`: another tab has an older version of this page open. Close or
   *   reload that tab.
   * - `waiting for the database`: the browser does not say why.
   * - `upgrading`, in objects: the store is from an older version.
   */
  onProgress?: ProgressCallback | undefined;
}

/**
 * Opens the store of this name and origin, or creates an empty one. Any number of tabs may have it
 * open at the same time.
 *
 * @throws StoreError `invalid` if an option is malformed; `unavailable` if the browser lacks a
 *   required feature (workers, IndexedDB) or denies it
 */
export async function openStore(name: string, options: OpenStoreOptions = {}): Promise<Store> {
  if (typeof name !== "string" || name === "") throw new StoreError("invalid", "the name of a store must be a non-empty string");
  const workers = options.workers ?? defaultWorkers();
  if (!Number.isInteger(workers) || workers < 1)
    throw new StoreError("invalid", `workers must be a whole number of at least 1, not ${workers}`);
  if (typeof Worker !== "function") throw new StoreError("unavailable", "this browser does not support web workers");
  const openOptions: OpenOptions = {
    storage: options.storage ?? "auto",
    durability: options.durability ?? "strict",
    workers,
    hashWorkerUrl: options.hashWorkerUrl === undefined ? undefined : new URL(options.hashWorkerUrl, location.href).href,
  };
  return acquiring(async (acquired) => {
    const worker = await StoreWorker.start(createWorker(options.workerUrl), options.signal);
    // Without a call to `close`: a worker that waits for its database would not answer.
    acquired.defer(() => worker.terminate());
    const report = await waited(worker, options, (port) => worker.api.open(name, openOptions, transfer(port, [port])));
    // The worker has its database open now. If it were terminated, WebKit could miss the end of the
    // connection, and a deletion of the store would then wait for ever.
    acquired.defer(() => worker.close());
    const changes = acquired.use(changeChannel(name));
    const store = new Store(name, worker, changes, { ...report, evicted: wasEvicted(name, report.id) });
    worker.watchStorage(store, (what) => {
      if (what === "database") store.endEvicted();
      else
        worker.end(new StoreError("unavailable", `the browser has cleared the files of the store ${quote(name)}; open it again`));
    });
    return store;
  });
}

/**
 * Deletes a store with all its content. It first closes the store everywhere, in other tabs too;
 * operations in progress there reject. `onProgress` reports the phase `waiting for another tab`,
 * like `openStore`. An abort ends the wait, but the browser may still delete the store once that
 * tab is closed.
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

/**
 * Runs a call that may wait for other tabs. The caller terminates a worker that waits, so the
 * worker need not learn of an abort.
 */
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

/** Creates the store worker. Bundlers look for `new Worker(new URL(...))` in exactly this form. */
function createWorker(url: string | URL | undefined): Worker {
  const name = "tvix-store-web";
  if (url !== undefined) return new Worker(url, { type: "module", name });
  return new Worker(new URL("../worker/store-worker.js", import.meta.url), { type: "module", name });
}

function defaultWorkers(): number {
  return Math.min(Math.max(navigator.hardwareConcurrency ?? 2, 2), 4);
}
