/**
 * Milliseconds. Where all content is in memory, a long loop awaits nothing but settled promises.
 * Neither an abort nor a request of somebody else is then handled before the loop ends.
 */
const LONGEST_TURN = 10;

/** Measures how long a loop has kept the thread to itself, and lets others have it in between. */
export class Turn {
  readonly #signal: AbortSignal | undefined;
  #began = performance.now();

  /** @param signal throws its reason from `pass` */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Lets other tasks run if this one has run for 10 ms; to be awaited in each round of a loop. */
  async pass(): Promise<void> {
    if (performance.now() - this.#began <= LONGEST_TURN) return;
    await othersRun();
    this.#began = performance.now();
    this.#signal?.throwIfAborted();
  }
}

const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };

/**
 * Resolves after the tasks that wait. A timer of 0 ms would not do: two loops with one each keep
 * Node in its phase of timers, where it reads from no connection. A page delays them by 4 ms.
 */
const othersRun: () => Promise<void> = setImmediate
  ? () => new Promise((resolve) => setImmediate(resolve))
  : () =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.addEventListener("message", () => {
          port1.close();
          resolve();
        });
        port1.start();
        port2.postMessage(undefined);
      });
