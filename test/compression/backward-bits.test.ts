import { describe, expect, test } from "vitest";
import { BackwardBits } from "../../src/compression/backward-bits.ts";
import { type Field, packBackward } from "./bits.ts";

test("numbers are read from the end, after the mark", () => {
  for (let first = 0; first <= 8; first++) {
    const fields: Field[] = [
      [2 ** first - 1, first],
      [0x5a5a5a5a, 31],
      [0, 0],
      [0x1234, 17],
      [0xabcd, 16],
      [1, 1],
    ];
    const bits = new BackwardBits(packBackward(fields));
    expect(bits.left).toBe(first + 65);
    expect(fields.map(([, count]) => bits.read(count))).toEqual(fields.map(([value]) => value));
    expect(bits.left).toBe(0);
  }
});

test("the mark is the highest bit of the last byte", () => {
  expect([0x01, 0x02, 0x80, 0xff].map((last) => new BackwardBits(Uint8Array.of(0, last)).left)).toEqual([8, 9, 15, 15]);
});

test("bytes without a mark are refused", () => {
  for (const bytes of [[], [0], [0xff, 0]]) expect(() => new BackwardBits(Uint8Array.from(bytes))).toThrow("a block is damaged");
});

describe("before the beginning", () => {
  test("zeros follow, and the number of bits left is negative", () => {
    const bits = new BackwardBits(Uint8Array.of(0b1_1111111));
    expect([bits.read(10), bits.left]).toEqual([0b1111111_000, -3]);
    expect([bits.read(31), bits.left]).toEqual([0, -34]);
    expect([bits.read(5), bits.left]).toEqual([0, -39]);
  });

  test.each([1, 7, 8, 9, 15, 16, 17, 24])("%d bits of a number are missing", (missing) => {
    const bits = new BackwardBits(packBackward([[0x3f, 6]]));
    expect(bits.read(6 + missing)).toBe(0x3f * 2 ** missing);
    expect(bits.left).toBe(-missing);
  });
});
