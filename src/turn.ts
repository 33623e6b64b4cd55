/**
 * How long loops may keep the thread together, in milliseconds. If all content is in memory, a long
 * loop awaits only settled promises. The thread would then handle no abort and no other request
 * until the loop ends.
 */
const LONGEST_TURN = 10;

/** When the thread last ran its other tasks, as far as this module knows. */
let turned = performance.now();
/** Continues the loops that wait. */
const waiting: (() => void)[] = [];

/**
 * Lets other tasks run if loops have kept the thread for 10 ms, all loops together. Await it in
 * each round of a long loop.
 *
 * @param signal if it was aborted while other tasks ran, its reason is thrown
 */
export async function passTurn(signal?: AbortSignal): Promise<void> {
  if (performance.now() - turned <= LONGEST_TURN) return;
  await new Promise<void>((resolve) => {
    if (waiting.push(resolve) === 1) afterOthers(continueNext);
  });
  signal?.throwIfAborted();
}

/** Continues one loop. The others continue after it, so that each gets a whole turn. */
function continueNext(): void {
  turned = performance.now();
  waiting.shift()?.();
  if (waiting.length > 0) afterOthers(continueNext);
}

const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };

/**
 * Calls `next` after all waiting tasks have run. A timer of 0 ms would not do: two loops that each
 * use one keep Node in its timers phase, where it reads from no connection. A page delays such
 * timers by 4 ms.
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
