import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { TarFault } from "../../src/castore/tar-header.ts";
import { SparseMap, SparseMapReader, sparseMapOf } from "../../src/castore/tar-sparse.ts";

/** Makes a map of segments, each given by its offset and length. */
function mapOf(segments: readonly (readonly [offset: number, length: number])[], size?: number): SparseMap {
  const map = new SparseMap();
  for (const [offset, length] of segments) map.add(offset, length);
  map.size = size;
  return map;
}

describe("the segments of a sparse file", () => {
  test.each<[string, [number, number][], number | undefined, number, number]>([
    ["have the stored bytes, without a size", [[0, 3]], undefined, 3, 3],
    [
      "may leave holes before, between and after them",
      [
        [2, 3],
        [9, 1],
      ],
      20,
      4,
      20,
    ],
    [
      "may touch, and end at the end of the file",
      [
        [0, 3],
        [3, 2],
      ],
      5,
      5,
      5,
    ],
    [
      "may be empty",
      [
        [5, 0],
        [5, 2],
        [7, 0],
      ],
      7,
      2,
      7,
    ],
    ["may be none, if the file is a hole", [], 7, 0, 7],
  ])("%s", (_, segments, size, stored, expected) => {
    expect(mapOf(segments, size).check(stored)).toBe(expected);
  });

  test.each<[string, [number, number][], number | undefined, number]>([
    [
      "overlap",
      [
        [0, 3],
        [2, 2],
      ],
      9,
      5,
    ],
    [
      "are out of order",
      [
        [4, 1],
        [0, 1],
      ],
      9,
      2,
    ],
    [
      "end after the file",
      [
        [0, 3],
        [8, 2],
      ],
      9,
      5,
    ],
    ["end after the stored bytes, without a size", [[1, 3]], undefined, 3],
    ["have fewer bytes than are stored", [[0, 3]], 9, 4],
    ["have more bytes than are stored", [[0, 3]], 9, 2],
    ["are none, though bytes are stored", [], 9, 1],
  ])("may not be such that they %s", (_, segments, size, stored) => {
    expect(() => mapOf(segments, size).check(stored)).toThrow(TarFault);
  });

  test("are at most 524,288", () => {
    const map = new SparseMap();
    for (let i = 0; i < 524_288; i++) map.add(i, 0);
    expect(() => map.add(0, 0)).toThrow(TarFault);
    expect(map.offsets).toHaveLength(524_288);
  });
});

describe("the record GNU.sparse.map", () => {
  test.each<[string, [number, number][]]>([
    ["", []],
    ["1,2", [[1, 2]]],
    ["1,2,", [[1, 2]]],
    [
      "0,0,512,100,999999999999999,1",
      [
        [0, 0],
        [512, 100],
        [999_999_999_999_999, 1],
      ],
    ],
  ])("%j holds segments", (text, expected) => {
    expect([...sparseMapOf(text)]).toEqual(expected);
  });

  test.each(["1", "1,", "1,2,3", ",", "1,2,,", "a,b", "1,2x", "x1,2", "1, 2", "-1,2", "1000000000000000,1", "1,1000000000000000"])(
    "%j is refused",
    (text) => {
      expect(() => [...sparseMapOf(text)]).toThrow(TarFault);
    },
  );
});

describe("the map before the content", () => {
  function read(text: string, pieceLength = text.length): SparseMapReader & { map: SparseMap } {
    const map = new SparseMap();
    const reader = new SparseMapReader(map);
    const bytes = utf8(text);
    for (let at = 0; at < bytes.length; at += pieceLength) reader.push(bytes.subarray(at, at + pieceLength));
    return Object.assign(reader, { map });
  }

  test.each([1, 2, 100])("is read in pieces of %d bytes, and its padding is ignored", (pieceLength) => {
    const { map, isComplete } = read("2\n0\n10\n512\n00007\n\0\0\0x", pieceLength);
    expect([map.offsets, map.lengths, isComplete]).toEqual([[0, 512], [10, 7], true]);
  });

  test("may have no segments", () => {
    expect(read("0\n\0\0").isComplete).toBe(true);
  });

  test.each(["", "2", "2\n", "2\n0\n1\n", "2\n0\n1\n5\n", "1\n0\n12"])("%j is not complete", (text) => {
    expect(read(text).isComplete).toBe(false);
  });

  test.each(["\n", "1\n\n", "x", "1\n-", "1 \n", "1\n9007199254740992\n", `1\n${"0".repeat(21)}\n`, "1\0"])(
    "%j is refused",
    (text) => {
      expect(() => read(text)).toThrow(TarFault);
    },
  );

  test("may have numbers of 20 digits, if they fit", () => {
    expect(read(`1\n${"0".repeat(19)}7\n9007199254740991\n`).map.offsets).toEqual([7]);
  });
});
