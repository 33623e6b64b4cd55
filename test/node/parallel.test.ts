import { expect, test } from "vitest";
import { inParallel, inTurns } from "../../src/node/parallel.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([0, 1, 2, 16, 17, 100])("the results of %d items are in order, and at most 16 are worked on", async (count) => {
  let running = 0;
  let most = 0;
  const results = await inParallel([...Array(count).keys()], async (i) => {
    most = Math.max(most, ++running);
    // Later items end earlier.
    for (let turns = count - i; turns > 0; turns--) await turn();
    running--;
    return i * 2;
  });
  expect(results).toEqual([...Array(count).keys()].map((i) => i * 2));
  expect(most).toBe(Math.min(count, 16));
});

test("after an error, no item is started, and the error comes when the running ones have ended", async () => {
  const started: number[] = [];
  let ended = 0;
  const failing = inParallel([...Array(100).keys()], async (i) => {
    started.push(i);
    if (i === 3) throw new RangeError("three");
    await turn();
    ended++;
  });
  await expect(failing).rejects.toThrow(RangeError);
  expect([started.length, ended]).toEqual([16, 15]);
});

test("the error of a single item is thrown", async () => {
  await expect(inParallel([1], () => Promise.reject(new RangeError("one")))).rejects.toThrow(RangeError);
});

test("other tasks run between items that take long, and the results are in order", async () => {
  let others = 0;
  const count = 4;
  let isRunning = true;
  const other = (async () => {
    for (; isRunning; others++) await turn();
  })();
  const results = await inTurns([...Array(count).keys()], (i) => {
    for (const from = performance.now(); performance.now() - from < 12; );
    return -i;
  });
  isRunning = false;
  await other;
  expect(results.map((i) => -i)).toEqual([...Array(count).keys()]);
  expect(others).toBeGreaterThanOrEqual(count - 1);
});
