import { describe, expect, test } from "vitest";
import { decodeLz4Block } from "../../src/compression/lz4-block.ts";

const DAMAGED = "a block is damaged";

interface Place {
  /** Content before the block. */
  readonly before?: number[];
  /** Maximum length of the content. */
  readonly most?: number;
  /** Lowest offset that a match may refer to. */
  readonly first?: number;
}

function decode(block: number[], { before = [], most = 100_000, first = 0 }: Place = {}): number[] {
  const output = new Uint8Array(before.length + most + 100);
  output.set(before);
  const end = decodeLz4Block(Uint8Array.from(block), output, before.length, before.length + most, first);
  // Nothing is written after the limit.
  expect(output.subarray(before.length + most).every((byte) => byte === 0)).toBe(true);
  return [...output.subarray(before.length, end)];
}

/** The rest of a length that doesn't fit in a token. */
const more = (length: number): number[] => [...Array<number>(Math.floor(length / 255)).fill(255), length % 255];

function sequence(literals: number[], match?: { distance: number; length: number }): number[] {
  const tail = match ? match.length - 4 : 0;
  return [
    (Math.min(literals.length, 15) << 4) | Math.min(tail, 15),
    ...(literals.length >= 15 ? more(literals.length - 15) : []),
    ...literals,
    ...(match ? [match.distance & 0xff, match.distance >> 8] : []),
    ...(tail >= 15 ? more(tail - 15) : []),
  ];
}

const count = (length: number) => Array.from({ length }, (_, i) => (i * 7) & 0xff);

test.each([0, 1, 14, 15, 16, 32, 33, 269, 270, 271, 525, 70_000])("%d literals are read", (length) => {
  expect(Buffer.compare(Buffer.from(decode(sequence(count(length)))), Buffer.from(count(length)))).toBe(0);
});

test.each([4, 18, 19, 32, 33, 273, 274, 275, 5000])("a match of %d bytes is read, at any distance", (length) => {
  const before = count(70);
  for (const distance of [1, 2, 31, 32, 33, 34, 70]) {
    const expected = [...before];
    for (let i = 0; i < length; i++) expected.push(expected[expected.length - distance] as number);
    const found = decode([...sequence([], { distance, length }), ...sequence([])], { before });
    expect(Buffer.compare(Buffer.from(found), Buffer.from(expected.slice(70)))).toBe(0);
  }
});

describe("a block is refused", () => {
  test("if a match begins before the window", () => {
    const block = (distance: number) => [...sequence([1], { distance, length: 4 }), ...sequence([])];
    expect(decode(block(3), { before: [7, 8] })).toEqual([1, 7, 8, 1, 7]);
    expect(() => decode(block(4), { before: [7, 8] })).toThrow(DAMAGED);
    expect(decode(block(2), { before: [7, 8], first: 1 })).toEqual([1, 8, 1, 8, 1]);
    expect(() => decode(block(3), { before: [7, 8], first: 1 })).toThrow(DAMAGED);
    expect(() => decode(block(0), { before: [7, 8] })).toThrow(DAMAGED);
  });

  test("if its content exceeds the limit", () => {
    const block = [...sequence([1, 2, 3], { distance: 1, length: 5 }), ...sequence([4, 5])];
    expect(decode(block, { most: 10 })).toEqual([1, 2, 3, 3, 3, 3, 3, 3, 4, 5]);
    for (const most of [9, 8, 7, 3, 2, 0]) expect(() => decode(block, { most })).toThrow(DAMAGED);
  });

  test("if it is cut short, except after literals", () => {
    const block = [...sequence(count(20), { distance: 5, length: 30 }), ...sequence([1])];
    for (let length = 0; length < block.length; length++) {
      if (length === 22) expect(decode(block.slice(0, length))).toEqual(count(20));
      else expect(() => decode(block.slice(0, length))).toThrow(DAMAGED);
    }
  });

  test("if a length never ends", () => {
    for (const token of [0xf0, 0x0f])
      expect(() => decode([token, 1, 0, ...Array<number>(1000).fill(255)], { before: [1] })).toThrow(DAMAGED);
  });
});
