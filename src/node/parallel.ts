/** More at once than the four threads that Node reads files with only takes memory and descriptors. */
const LANES = 16;

/** Calls `work` for each item, a few at once, and answers the results in order. The first error comes out once those that run have settled. */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const queue = items.entries();
  let failed = false;
  const lane = async () => {
    for (const [i, item] of queue) {
      if (failed) return;
      try {
        results[i] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(LANES, items.length) }, lane));
  for (const outcome of lanes) if (outcome.status === "rejected") throw outcome.reason;
  return results;
}

/** Items that are worked on without a pause. */
const TURN = 64;

/**
 * Calls `work` for each item in this thread, and answers the results in order. Of files that the system holds in memory, Node's thread pool takes five times
 * as long for each as its work does. Others get their turn every few items.
 */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => R): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(work(item));
    if (results.length % TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return results;
}
