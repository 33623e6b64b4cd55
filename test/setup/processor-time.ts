import { expect } from "vitest";

/** The large input of `expectLinear`, as a multiple of the small one. */
const FACTOR = 8;
/**
 * Most that the time may grow from the small to the large input. Linear work grows by 8 and
 * quadratic work by 64.
 */
const LIMIT = 3 * FACTOR;
/** Tries to stay below a limit: compilation and garbage collection disturb a measurement. */
const TRIES = 3;

/**
 * Runs `work`, and returns the processor time in milliseconds that this process took for it. Other
 * processes don't count, so a busy machine hardly changes the result.
 */
export async function processorTime(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * Expects that `work` takes at most `times` as much processor time as `reference`, in the best of a
 * few tries.
 */
export async function expectAtMost(times: number, reference: () => unknown, work: () => unknown): Promise<void> {
  let [least, limit] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < TRIES && least >= limit; i++) {
    // The first runs are slow because they are not compiled yet, so the reference runs first.
    limit = Math.max(limit, times * (await processorTime(reference)));
    least = Math.min(least, await processorTime(work));
  }
  expect(least, "milliseconds of processor time").toBeLessThan(limit);
}

/**
 * Expects that the processor time of `work` grows in proportion to the size of its input: for
 * `size`, it may take at most three times as long as its share of an eighth of `size`.
 */
export async function expectLinear(size: number, work: (size: number) => unknown): Promise<void> {
  await expectAtMost(
    LIMIT,
    () => work(size / FACTOR),
    () => work(size),
  );
}
