import { Turn } from "../turn.ts";

/**
 * Concurrent operations. Node has four threads for files, so more would only take memory and
 * descriptors.
 */
const LANES = 16;

/**
 * Calls `work` for each item, up to 16 at a time, and returns the results in order. After an error,
 * it starts no further items, waits for the running ones, and then throws.
 */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const [first] = items;
  // Most small uploads have one object, and the lanes cost more than a look-up in memory.
  if (first !== undefined && items.length === 1) return [await work(first)];
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

/**
 * Calls the synchronous `work` for each item in this thread, and returns the results in order. Lets
 * other tasks run in between. For files in the system's page cache, Node's thread pool would take
 * five times as long as the work itself.
 */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => R): Promise<R[]> {
  const results: R[] = [];
  const turn = new Turn();
  for (const item of items) {
    await turn.pass();
    results.push(work(item));
  }
  return results;
}
