/**
 * Maximum time that all loops together may occupy the thread, in milliseconds. If all content is in
 * memory, a long loop awaits only settled promises. The thread would then handle no abort and no
 * other request until the loop ends.
 */
const LONGEST_TURN = 10;
/** Loops that have had this many turns or more have equal priority. */
const MANY_TURNS = 8;

/** Time at which a waiting loop last continued, as `performance.now()`. */
let turned = performance.now();
/** Loops that wait for their turn. */
const waiting: { readonly turns: number; readonly next: () => void }[] = [];

/**
 * The turns of one loop. All loops of a thread share its time: after each turn of a loop, other
 * tasks run, and then one of the waiting loops continues. Loops that have had few turns come first,
 * so that a short request does not wait for many long ones.
 */
export class Turn {
  readonly #signal: AbortSignal | undefined;
  #turns: number;

  /**
   * @param signal if aborted, `pass` throws its reason after a wait
   * @param turns turns to count in advance: 1 ranks this loop behind new requests, for a batch of a
   *   longer request
   */
  constructor(signal?: AbortSignal, turns = 0) {
    this.#signal = signal;
    this.#turns = Math.min(turns, MANY_TURNS);
  }

  /**
   * Lets other tasks run if no loop has waited for 10 ms. Await it in each round of the
   * loop.
   */
  async pass(): Promise<void> {
    if (performance.now() - turned <= LONGEST_TURN) return;
    await new Promise<void>((next) => {
      if (waiting.push({ turns: this.#turns, next }) === 1) afterOthers(continueOne);
    });
    if (this.#turns < MANY_TURNS) this.#turns++;
    this.#signal?.throwIfAborted();
  }
}

/** Continues the waiting loop that has had the fewest turns. */
function continueOne(): void {
  turned = performance.now();
  let first = 0;
  for (const [i, { turns }] of waiting.entries()) if (turns < (waiting[first]?.turns ?? 0)) first = i;
  const [loop] = waiting.splice(first, 1);
  loop?.next();
  if (waiting.length > 0) afterOthers(continueOne);
}

const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };

/**
 * Calls `next` after all waiting tasks have run. A timer of 0 ms would not do: two loops that each
 * use one keep Node in its timers phase, where it reads from no connection. Browsers delay
 * repeated timers by 4 ms.
 */
const afterOthers: (next: () => void) => void = setImmediate
  ? (next) => setImmediate(next)
  : (next) => {
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener("message", () => {
        port1.close();
        next();
      });
      port1.start();
      port2.postMessage(undefined);
    };
