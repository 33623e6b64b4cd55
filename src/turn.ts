/**
 * How long a loop may keep the thread, in milliseconds. If all content is in memory, a long loop
 * awaits only settled promises. The thread would then handle no abort and no other request until
 * the loop ends.
 */
const LONGEST_TURN = 10;

/** Measures how long a loop has kept the thread, and lets other tasks run in between. */
export class Turn {
  readonly #signal: AbortSignal | undefined;
  #began = performance.now();

  /** @param signal `pass` throws its reason once it is aborted */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * Lets other tasks run if the loop has kept the thread for 10 ms. Await it in each round of the
   * loop.
   */
  async pass(): Promise<void> {
    if (performance.now() - this.#began <= LONGEST_TURN) return;
    await othersRun();
    this.#began = performance.now();
    this.#signal?.throwIfAborted();
  }
}

const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };

/**
 * Resolves after all waiting tasks have run. A timer of 0 ms would not do: two loops that each use
 * one keep Node in its timers phase, where it reads from no connection. A page delays such timers
 * by 4 ms.
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
