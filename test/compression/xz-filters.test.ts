import { describe, expect, test } from "vitest";
import { blockFilters } from "../../src/compression/xz-filters.ts";

const filter = (id: number, ...properties: number[]) => ({ id, properties: Uint8Array.from(properties) });
const LZMA2 = filter(0x21, 22);

describe("the dictionary's size", () => {
  test.each([
    [0, 4096],
    [1, 6144],
    [2, 8192],
    [22, 8 * 2 ** 20],
    [39, 3 * 2 ** 30],
    [40, 2 ** 32 - 1],
  ])("of the code %d is %d", (code, size) => {
    expect(blockFilters([filter(0x21, code)]).dictionarySize).toBe(size);
  });

  test("is refused if it is not known", () => {
    for (const lzma2 of [filter(0x21, 41), filter(0x21, 255), filter(0x21), filter(0x21, 22, 0)])
      expect(() => blockFilters([lzma2])).toThrow("a dictionary of no known size");
  });
});

describe("filters", () => {
  test.each([
    ["LZMA2 is not the last", [LZMA2, filter(3, 0)], "the filter 3"],
    ["LZMA2 comes twice", [LZMA2, LZMA2], "the filter 33"],
    ["there is none", [], "the filter 0"],
    ["one is not known", [filter(12), LZMA2], "the filter 12"],
    ["delta has no distance", [filter(3), LZMA2], "the filter 3 with properties"],
    ["delta has two distances", [filter(3, 1, 1), LZMA2], "the filter 3 with properties"],
    ["a start has three bytes", [filter(4, 0, 0, 0), LZMA2], "the filter 4 with properties"],
    ["a start has five bytes", [filter(4, 0, 0, 0, 0, 0), LZMA2], "the filter 4 with properties"],
  ])("are refused if %s", (_, flags, message) => {
    expect(() => blockFilters(flags)).toThrow(message);
  });

  test.each([
    [4, 1],
    [5, 4],
    [6, 16],
    [7, 4],
    [8, 2],
    [9, 4],
    [10, 4],
    [11, 2],
  ])("%d starts at a multiple of %d", (id, alignment) => {
    const start = (value: number) => [filter(id, value, 0, 0, 1), LZMA2];
    for (const value of [0, alignment, 240]) expect(() => blockFilters(start(value))).not.toThrow();
    expect(() => blockFilters([filter(id), LZMA2])).not.toThrow();
    for (let value = 1; value < alignment; value++) expect(() => blockFilters(start(value))).toThrow(`the filter ${id} with`);
  });
});

describe("the chain", () => {
  /** What comes out of the chain, also at its end. */
  const filtered = (flags: ReturnType<typeof filter>[], bytes: number[]) => {
    const { chain } = blockFilters(flags);
    return [...chain.push(Uint8Array.from(bytes)), ...[...chain.end()].flatMap((rest) => [...rest])];
  };

  test("undoes the encoder's filters from the last to the first", () => {
    // The encoder made a distance absolute, then took the differences between bytes.
    const call = [0xe8, 5, 0, 0, 0, 0, 0, 0, 0, 0];
    const encoded = [0xe8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    const differences = encoded.map((byte, i) => (byte - (encoded[i - 1] ?? 0)) & 0xff);
    expect(filtered([filter(4), filter(3, 0), LZMA2], differences)).toEqual(call);
    expect(filtered([filter(3, 0), filter(4), LZMA2], differences)).not.toEqual(call);
  });

  test("counts a distance of delta from 1", () => {
    expect(filtered([filter(3, 0), LZMA2], [1, 1, 1, 1])).toEqual([1, 2, 3, 4]);
    expect(filtered([filter(3, 1), LZMA2], [1, 1, 1, 1])).toEqual([1, 1, 2, 2]);
  });

  test("adds the start to the position", () => {
    const absolute = [0xe8, 10, 1, 0, 0];
    expect(filtered([filter(4, 0, 1, 0, 0), LZMA2], absolute)).toEqual([0xe8, 5, 0, 0, 0]);
    expect(filtered([filter(4), LZMA2], absolute)).toEqual([0xe8, 5, 1, 0, 0]);
  });

  test("is empty with LZMA2 alone", () => {
    expect(filtered([LZMA2], [1, 2, 3])).toEqual([1, 2, 3]);
  });
});
