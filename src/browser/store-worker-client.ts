import { type Remote as ComlinkRemote, wrap } from "comlink";
import { StoreError } from "../error.ts";
import { pause } from "../pause.ts";
import { ResourceStack } from "../resource-stack.ts";
import type { StoreApi } from "../thread/store-api.ts";
import { handleThrownErrors } from "../thread/thrown-errors.ts";
import { untilAborted } from "../until-aborted.ts";
import { type ClearedStorage, watchCleared } from "./cleared-storage.ts";
import { watchLife } from "./worker-life.ts";

/**
 * Milliseconds that a worker may take to start before it counts as dead. It loads one script, and
 * compiles the WebAssembly in the script.
 */
const START_TIMEOUT = 30_000;
/** Milliseconds that a worker may take to release its storage. */
const CLOSING_TIME = 10_000;
/**
 * Milliseconds from the answer to `close` to the end of the worker. The worker has just terminated
 * its own workers. Chromium (seen in 156) never frees the thread and the memory of a worker whose
 * parent is terminated shortly after it. Only Chromium has `userAgentData`; in WebKit, the wait
 * made a later deletion of the store wait for ever at times.
 */
const ENDING_TIME = 150;
const IS_CHROMIUM = typeof navigator !== "undefined" && "userAgentData" in navigator;

/** The page's connection to the store's thread: usually the store worker. */
export interface StoreConnection {
  readonly api: ComlinkRemote<StoreApi>;
  /**
   * Aborted with a StoreError: `unavailable` if the thread died, `closed` if the store was closed.
   */
  readonly lost: AbortSignal;
  /**
   * Waits for an answer of the thread. Rejects if the thread is lost, because it then never
   * answers.
   */
  call<T>(answer: Promise<T>): Promise<T>;
  /** Lets the thread release its storage, then ends it. */
  close(): Promise<void>;
  /** Ends the thread at once; calls in progress reject with `reason`. */
  end(reason: StoreError): void;
}

/** The page's side of the store worker. */
export class StoreWorker implements StoreConnection {
  readonly api: ComlinkRemote<StoreApi>;
  #lost = new AbortController();
  /**
   * Resources to release at the end: the worker, and the watches for its death and for cleared
   * storage.
   */
  readonly #held = new ResourceStack();

  private constructor(worker: Worker) {
    this.#held.defer(() => worker.terminate());
    this.api = wrap<StoreApi>(worker);
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#lost.abort(
        new StoreError("unavailable", `the store worker failed: ${event.message || "its script could not be loaded"}`),
      );
    });
  }

  /**
   * Starts a worker and waits until it listens.
   *
   * @throws StoreError `unavailable` if the worker fails or does not start in time
   */
  static async start(worker: Worker, signal?: AbortSignal): Promise<StoreWorker> {
    handleThrownErrors();
    const client = new StoreWorker(worker);
    const ready = new Promise<string>((resolve) => {
      // A message to the worker before it listens would be lost, so the worker sends the first one.
      // It contains the name of the lock that the worker holds.
      worker.addEventListener("message", ({ data }) => resolve(String(data?.lock ?? "")), { once: true });
    });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StoreError("unavailable", "the store worker did not start")), START_TIMEOUT);
    });
    try {
      const lock = await untilAborted(client.call(Promise.race([ready, late])), signal);
      const onDeath = (): void => client.#lost.abort(new StoreError("unavailable", "the store worker died; open the store again"));
      client.#held.defer(watchLife(lock, () => client.api.ping(), onDeath));
    } catch (error) {
      client.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return client;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  call<T>(answer: Promise<T>): Promise<T> {
    return untilAborted(answer, this.lost);
  }

  /**
   * Calls `onCleared` if the storage of the open store was cleared and the worker can't report it.
   */
  watchStorage(store: { name: string; storage: "opfs" | "indexeddb" }, onCleared: (what: ClearedStorage) => void): void {
    this.#held.defer(watchCleared(store, () => this.api.ping(), onCleared));
  }

  async close(): Promise<void> {
    try {
      await untilAborted(this.call(this.api.close()), AbortSignal.timeout(CLOSING_TIME));
      if (IS_CHROMIUM) await pause(ENDING_TIME);
    } catch {
      // The worker is already gone, or it is blocked. In both cases, it can be terminated.
    }
    this.terminate();
  }

  terminate(): void {
    this.end(new StoreError("closed", "the store was closed"));
  }

  end(reason: StoreError): void {
    this.#lost.abort(reason);
    void this.#held.dispose();
  }
}
