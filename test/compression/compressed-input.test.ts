import { describe, expect, test, vi } from "vitest";
import { CompressedInput } from "../../src/compression/compressed-input.ts";
import { MemoryBudget } from "../../src/memory-budget.ts";

/** An input of these pieces. `read` counts how many were taken from the source. */
function inputOf(...pieces: number[][]): { input: CompressedInput; read: () => number; given: Uint8Array[] } {
  const given = pieces.map((piece) => Uint8Array.from(piece));
  let read = 0;
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    const value = given[read];
    if (value === undefined) return { value: undefined, done: true };
    read++;
    return { value, done: false };
  };
  return { input: new CompressedInput({ next }, {}), read: () => read, given };
}

describe("waiting for bytes", () => {
  test("reads no more pieces than needed, and takes no bytes", async () => {
    const { input, read } = inputOf([1, 2], [], [3], [4, 5]);
    expect([await input.has(0), read()]).toEqual([true, 0]);
    expect([await input.has(2), read(), [...input.bytes]]).toEqual([true, 1, [1, 2]]);
    expect([await input.has(3), read(), [...input.bytes]]).toEqual([true, 3, [1, 2, 3]]);
    expect([await input.has(1), read()]).toEqual([true, 3]);
    expect(input.taken).toBe(0);
  });

  test("ends with the input", async () => {
    const { input } = inputOf([1, 2], [3]);
    expect([await input.has(4), [...input.bytes]]).toEqual([false, [1, 2, 3]]);
    expect(await input.has(3)).toBe(true);
    await input.need(3);
    await expect(input.need(4)).rejects.toThrow("it is cut short");
    expect([...input.bytes]).toEqual([1, 2, 3]);
  });

  test("does not copy a piece that is long enough", async () => {
    const { input, given } = inputOf([], [1, 2, 3], [4]);
    await input.has(2);
    expect(input.bytes).toBe(given[1]);
    expect(input.take(2).buffer).toBe(given[1]?.buffer);
  });

  test("passes on an error of the source", async () => {
    const broken = new Error("broken");
    const input = new CompressedInput({ next: () => Promise.reject(broken) }, {});
    await expect(input.has(1)).rejects.toBe(broken);
  });
});

describe("taking bytes", () => {
  test("counts them, and leaves the rest", async () => {
    const { input } = inputOf([1, 2, 3], [4]);
    await input.need(2);
    expect([[...input.take(2)], input.taken, [...input.bytes]]).toEqual([[1, 2], 2, [3]]);
    expect([[...input.take(5)], input.taken, [...input.bytes]]).toEqual([[3], 3, []]);
    expect([...((await input.takeSome()) ?? [])]).toEqual([4]);
    expect([await input.takeSome(), input.taken]).toEqual([undefined, 4]);
  });

  test("takes all that have arrived, or else the next piece", async () => {
    const { input, read } = inputOf([1, 2, 3], [4, 5], []);
    await input.need(1);
    input.take(1);
    expect([[...((await input.takeSome()) ?? [])], read()]).toEqual([[2, 3], 1]);
    expect([[...((await input.takeSome()) ?? [])], read()]).toEqual([[4, 5], 2]);
    expect(await input.takeSome()).toBe(undefined);
  });
});

describe("zeros are skipped", () => {
  test.each([
    ["up to another byte", [[0, 0], [0], [0, 7, 0]], true, 4, [7, 0]],
    ["not if there are none", [[7, 0]], true, 0, [7, 0]],
    ["up to the end", [[0, 0], [0]], false, 3, []],
    ["not at the end", [], false, 0, []],
  ])("%s", async (_, pieces, isMore, taken, rest) => {
    const { input } = inputOf(...pieces);
    expect([await input.skipZeros(), input.taken, [...input.bytes]]).toEqual([isMore, taken, rest]);
  });
});

describe("memory for the decoder", () => {
  /** Whether so many bytes are left. */
  async function isLeft(memory: MemoryBudget, bytes: number): Promise<boolean> {
    const controller = new AbortController();
    const reserved = memory.reserve(bytes, { signal: controller.signal });
    controller.abort(new Error("enough"));
    return reserved.then(
      (lease) => {
        memory.free(lease);
        return true;
      },
      () => false,
    );
  }

  test("is reserved in total, and freed once", async () => {
    const memory = new MemoryBudget(100);
    const { input } = inputOf();
    await input.reserve(memory, 60);
    expect([await isLeft(memory, 40), await isLeft(memory, 41)]).toEqual([true, false]);
    // The decoder has enough, and doesn't wait in the queue again.
    const reserve = vi.spyOn(memory, "reserve");
    for (const bytes of [50, 60]) await input.reserve(memory, bytes);
    expect(reserve).not.toHaveBeenCalled();
    expect([await isLeft(memory, 40), await isLeft(memory, 41)]).toEqual([true, false]);
    // What it has is freed before it asks for more, so 100 are enough.
    await input.reserve(memory, 100);
    expect(await isLeft(memory, 1)).toBe(false);
    input.end();
    input.end();
    expect([await isLeft(memory, 100), await isLeft(memory, 101)]).toEqual([true, false]);
  });

  test("of another kind frees that of the first", async () => {
    const [one, other] = [new MemoryBudget(100), new MemoryBudget(100)];
    const { input } = inputOf();
    await input.reserve(one, 100);
    await input.reserve(other, 10);
    expect([await isLeft(one, 100), await isLeft(other, 91)]).toEqual([true, false]);
  });
});

test("other tasks run, and an abort ends the waiting, even if all bytes have arrived", async () => {
  const controller = new AbortController();
  const { given } = inputOf([1]);
  const input = new CompressedInput(
    { next: async () => ({ value: given[0] as Uint8Array, done: false }) },
    { ...{}, signal: controller.signal },
  );
  setTimeout(() => controller.abort(new Error("enough")), 1);
  const endless = async (): Promise<never> => {
    for (;;) await input.has(1);
  };
  await expect(endless()).rejects.toThrow("enough");
});
