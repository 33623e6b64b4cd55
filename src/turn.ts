/**
 * Milliseconds. Where all content is in memory, a long loop awaits nothing but settled promises.
 * Neither an abort nor a request of somebody else is then handled before the loop ends.
 */
const LONGEST_TURN = 50;

/** Measures how long a loop has kept the thread to itself, and lets others have it in between. */
export class Turn {
  #began = performance.now();

  /** Lets other tasks run if this one has run for 50 ms; to be awaited in each round of a loop. */
  async pass(): Promise<void> {
    if (performance.now() - this.#began <= LONGEST_TURN) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#began = performance.now();
  }
}
