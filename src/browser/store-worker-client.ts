import { type Remote as ComlinkRemote, wrap } from "comlink";
import { StoreError } from "../error.ts";
import type { StoreApi } from "../thread/store-api.ts";
import { handleThrownErrors } from "../thread/thrown-errors.ts";

/** How long a worker may take to start before it is taken for dead, in milliseconds. It loads one script and compiles 20 kB. */
const START_TIMEOUT = 30_000;

/** The store worker as the page has it: its API, and a promise that rejects when it is gone. */
export class StoreWorker {
  readonly api: ComlinkRemote<StoreApi>;
  /** Rejects with `unavailable` when the worker died, with `closed` when it was closed; never resolves. */
  readonly lost: Promise<never>;
  #worker: Worker;
  #lose: (error: StoreError) => void = () => {};

  private constructor(worker: Worker) {
    handleThrownErrors();
    this.#worker = worker;
    this.api = wrap<StoreApi>(worker);
    this.lost = new Promise((_, reject) => {
      this.#lose = reject;
    });
    this.lost.catch(() => {});
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#lose(new StoreError("unavailable", `the store worker failed: ${event.message || "its script could not be loaded"}`));
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
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener("abort", onAbort);
    });
    try {
      signal?.throwIfAborted();
      client.#watch(await Promise.race([ready, client.lost, late, aborted]));
    } catch (error) {
      worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
      if (onAbort) signal?.removeEventListener("abort", onAbort);
    }
    return client;
  }

  /** Ends the worker after it has let go of its storage. */
  async close(): Promise<void> {
    try {
      await Promise.race([this.api.close(), this.lost]);
    } catch {
      // It is gone already, which is what was wanted.
    }
    this.#lose(new StoreError("closed", "the store was closed"));
    this.#worker.terminate();
  }

  /**
   * No event tells that a worker was ended from outside. But a lock that it holds for as long as it lives is free then.
   */
  #watch(lock: string): void {
    if (!lock || !navigator.locks) return;
    navigator.locks
      .request(lock, () => this.#lose(new StoreError("unavailable", "the store worker died")))
      .catch(() => {
        // The page itself is going away.
      });
  }
}
