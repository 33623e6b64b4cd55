import { describe, expect, test } from "vitest";
import { BitReader } from "../../src/compression/bit-reader.ts";

function reader(bytes: number[], skipped = 0): BitReader {
  const bits = new BitReader();
  bits.supply(Uint8Array.from(bytes), skipped);
  return bits;
}

test("the highest bit of each byte comes first", () => {
  const bits = reader([0b1011_0001, 0xff, 0x00, 0xaa, 0x55]);
  expect([1, 2, 3, 2].map((count) => bits.read(count))).toEqual([1, 0b01, 0b100, 0b01]);
  expect(bits.read(20)).toBe(0xff00a);
  expect(bits.position).toBe(28);
  expect(bits.read(12)).toBe(0xa55);
  expect(bits.read(0)).toBe(0);
});

test("20 bits are read at any offset within a byte", () => {
  for (let skipped = 0; skipped < 8; skipped++) {
    const bits = reader([0x12, 0x34, 0x56, 0x78], skipped);
    expect(bits.position).toBe(skipped);
    expect(bits.read(20)).toBe((0x12345678 >>> (12 - skipped)) & 0xfffff);
  }
});

describe("after the last byte", () => {
  test("zeros are seen, but can't be read", () => {
    const bits = reader([0xff]);
    expect(bits.peek(20)).toBe(0xff000);
    expect(bits.position).toBe(0);
    bits.skip(8);
    expect([bits.peek(5), bits.position]).toEqual([0, 8]);
    expect(() => bits.skip(1)).toThrow("it is cut short");
    expect(() => reader([0xff]).read(9)).toThrow("it is cut short");
    expect(() => reader([], 1)).toThrow("it is cut short");
  });

  test("other bytes are read from their beginning", () => {
    const bits = reader([0xff, 0xff]);
    bits.read(3);
    bits.supply(Uint8Array.of(0x12), 4);
    expect([bits.position, bits.read(4)]).toEqual([4, 2]);
  });
});
