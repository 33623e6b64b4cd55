import { describe, expect, test } from "vitest";
import type { ChunkMeta } from "../../src/castore/blob-service.ts";
import { coveringChunks, sizeOfChunks } from "../../src/castore/chunk-list.ts";
import { digestOf } from "../../src/castore/digest.ts";

/** Chunks of these sizes. */
const listOf = (...sizes: number[]): ChunkMeta[] => sizes.map((size, i) => ({ digest: digestOf(Uint8Array.of(i)), size }));

test("the size of a blob is that of its chunks together", () => {
  expect(sizeOfChunks([])).toBe(0);
  expect(sizeOfChunks(listOf(3, 4, 5))).toBe(12);
});

describe("the chunks that overlap a range", () => {
  const list = listOf(3, 4, 5);

  /** Offsets of the chunks from 0, 3 and 7 that overlap the range. */
  test.each<[number, number, number[]]>([
    [0, 12, [0, 3, 7]],
    [0, 3, [0]],
    [0, 4, [0, 3]],
    [2, 3, [0]],
    [2, 4, [0, 3]],
    [3, 7, [3]],
    [3, 8, [3, 7]],
    [6, 7, [3]],
    [7, 12, [7]],
    [11, 100, [7]],
    [12, 100, []],
    [0, 0, []],
  ])("from %d to %d", (from, to, starts) => {
    const found = [...coveringChunks(list, from, to)];
    expect(found.map(({ start }) => start)).toEqual(starts);
    expect(found.map(({ chunk }) => chunk)).toEqual(starts.map((start) => list[[0, 3, 7].indexOf(start)]));
  });
});
