import { expect, test } from "vitest";
import { inBatches } from "../../src/worker/batches.ts";

async function* numbers(count: number, state?: { ended: boolean }): AsyncGenerator<number> {
  try {
    for (let i = 0; i < count; i++) yield i;
  } finally {
    if (state) state.ended = true;
  }
}

test.each([
  [0, []],
  [1, [1]],
  [99, [99]],
  [100, [100]],
  [101, [100, 1]],
  [200, [100, 100]],
  [250, [100, 100, 50]],
])("%i items come in batches of %j", async (count, lengths) => {
  const batches: number[][] = [];
  for await (const batch of inBatches(() => numbers(count))) batches.push(batch);
  expect(batches.map(({ length }) => length)).toEqual(lengths);
  expect(batches.flat()).toEqual(Array.from({ length: count }, (_, i) => i));
});

test("the list is opened at the first read, and closed when the reader stops", async () => {
  const state = { ended: false };
  let opened = 0;
  const batches = inBatches(() => {
    opened++;
    return numbers(1000, state);
  });
  expect(opened).toBe(0);
  await batches.next();
  expect([opened, state.ended]).toEqual([1, false]);
  await batches.return(undefined);
  expect(state.ended).toBe(true);
});

test("an error of the list comes after the full batches before it", async () => {
  const problem = new Error("the list failed");
  const batches = inBatches(async function* () {
    yield* numbers(150);
    throw problem;
  });
  expect((await batches.next()).value).toHaveLength(100);
  await expect(batches.next()).rejects.toBe(problem);
});
