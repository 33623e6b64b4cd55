import { type Remote as ComlinkRemote, wrap } from "comlink";
import { StoreError } from "../error.ts";
import type { StoreApi } from "../thread/store-api.ts";
import { handleThrownErrors } from "../thread/thrown-errors.ts";
import { untilAborted } from "../until-aborted.ts";
import { type ClearedStorage, watchCleared } from "./cleared-storage.ts";
import { watchLife } from "./worker-life.ts";

/** How long a worker may take to start before it is taken for dead, in milliseconds. It loads one script and compiles 20 kB. */
const START_TIMEOUT = 30_000;
/** How long a worker may take to let go of its storage, in milliseconds. */
const CLOSING_TIME = 10_000;

/** Where the work of a store is done, as the page has it. */
export interface StoreConnection {
  readonly api: ComlinkRemote<StoreApi>;
  /** Aborted with a StoreError: `unavailable` when the other end died, `closed` when it was closed. */
  readonly lost: AbortSignal;
  /** What the other end answers. One that is gone does not, and then it rejects. */
  call<T>(answer: Promise<T>): Promise<T>;
  /** Ends it after it has let go of its storage. */
  close(): Promise<void>;
  /** Ends it at once; what is under way rejects with `reason`. */
  end(reason: StoreError): void;
}

/** The store worker as the page has it. */
export class StoreWorker implements StoreConnection {
  readonly api: ComlinkRemote<StoreApi>;
  #worker: Worker;
  #lost = new AbortController();
  /** What watches the worker. */
  readonly #watches: (() => void)[] = [];

  private constructor(worker: Worker) {
    handleThrownErrors();
    this.#worker = worker;
    this.api = wrap<StoreApi>(worker);
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#lost.abort(
        new StoreError("unavailable", `the store worker failed: ${event.message || "its script could not be loaded"}`),
      );
    });
  }

  /** Starts a worker and waits until it listens. */
  static async start(worker: Worker, signal?: AbortSignal): Promise<StoreWorker> {
    const client = new StoreWorker(worker);
    const ready = new Promise<string>((resolve) => {
      // A message that came before the worker listens would be lost, so it speaks first, and names the lock that it holds.
      worker.addEventListener("message", ({ data }) => resolve(String(data?.lock ?? "")), { once: true });
    });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StoreError("unavailable", "the store worker did not start")), START_TIMEOUT);
    });
    try {
      const lock = await untilAborted(client.call(Promise.race([ready, late])), signal);
      const onDeath = (): void => client.#lost.abort(new StoreError("unavailable", "the store worker died"));
      client.#watches.push(watchLife(lock, () => client.api.ping(), onDeath));
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

  /** Calls `onCleared` when the storage of the store that was opened was cleared, where the worker can't tell. */
  watchStorage(store: { name: string; storage: "opfs" | "indexeddb" }, onCleared: (what: ClearedStorage) => void): void {
    this.#watches.push(watchCleared(store, () => this.api.ping(), onCleared));
  }

  async close(): Promise<void> {
    try {
      await untilAborted(this.call(this.api.close()), AbortSignal.timeout(CLOSING_TIME));
    } catch {
      // It is gone already, which is what was wanted; or it is blocked.
    }
    this.terminate();
  }

  terminate(): void {
    this.end(new StoreError("closed", "the store was closed"));
  }

  end(reason: StoreError): void {
    for (const endWatch of this.#watches.splice(0)) endWatch();
    this.#lost.abort(reason);
    this.#worker.terminate();
  }
}
