import { describe, expect, test } from "vitest";
import { fromHex, toHex, viewOf } from "../../src/bytes.ts";
import {
  arm64Filter,
  armFilter,
  armThumbFilter,
  ia64Filter,
  powerPcFilter,
  sparcFilter,
} from "../../src/compression/branch-filters.ts";

/** Decodes a word in the processor's byte order. */
function decodedWord(filter: typeof armFilter, word: number, position: number, isLittle: boolean): string {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, word, isLittle);
  expect(filter().decode(bytes, position)).toBe(4);
  return viewOf(bytes).getUint32(0, isLittle).toString(16).padStart(8, "0");
}

describe.each<[string, typeof armFilter, boolean, [what: string, encoded: number, position: number, decoded: string][]]>([
  [
    "ARM",
    armFilter,
    true,
    [
      ["BL to 0x100 from 16", 0xeb000040, 16, "eb00003a"],
      ["BL to 0 from 16, which is back", 0xeb000000, 16, "ebfffffa"],
      ["BL to 0 from 2^32 - 4", 0xeb000000, 2 ** 32 - 4, "ebffffff"],
      ["BL on a condition, which stays", 0x0b000040, 16, "0b000040"],
      ["B, which stays", 0xea000040, 16, "ea000040"],
    ],
  ],
  [
    "ARM64",
    arm64Filter,
    true,
    [
      ["BL to 0x100 from 16", 0x94000040, 16, "9400003c"],
      ["BL to 0 from 16, which is back", 0x94000000, 16, "97fffffc"],
      ["B, which stays", 0x14000040, 16, "14000040"],
      ["ADRP of page 5 from page 3", 0xb0000027, 0x3000, "d0000007"],
      ["ADRP of page 1 from page 3, which is back", 0xb0000007, 0x3fff, "d0ffffe7"],
      ["ADRP of page 2^17 - 1", 0xf00fffe0, 0, "f00fffe0"],
      ["ADRP beyond 512 MiB, which stays", 0x90100000, 0x3000, "90100000"],
      ["ADR, which stays", 0x10000027, 0x3000, "10000027"],
    ],
  ],
  [
    "PowerPC",
    powerPcFilter,
    false,
    [
      ["BL to 0x100 from 16", 0x48000101, 16, "480000f1"],
      ["BL to 0 from 16, which is back", 0x48000001, 16, "4bfffff1"],
      ["B, which stays", 0x48000100, 16, "48000100"],
      ["BLA, which stays", 0x48000103, 16, "48000103"],
      ["another opcode, which stays", 0x4c000101, 16, "4c000101"],
    ],
  ],
  [
    "SPARC",
    sparcFilter,
    false,
    [
      ["CALL to 0x100 from 16", 0x40000040, 16, "4000003c"],
      ["CALL to 0 from 16, which is back", 0x40000000, 16, "7ffffffc"],
      ["CALL to -16 from 16", 0x7ffffffc, 16, "7ffffff8"],
      ["CALL over more than 8 MiB, which stays", 0x40400000, 16, "40400000"],
      ["CALL back over more than 8 MiB, which stays", 0x7f800000, 16, "7f800000"],
    ],
  ],
])("%s", (_, filter, isLittle, words) => {
  test.each(words)("%s", (_, encoded, position, decoded) => {
    expect(decodedWord(filter, encoded, position, isLittle)).toBe(decoded);
  });

  test("waits for whole instructions", () => {
    for (const [length, done] of [
      [0, 0],
      [3, 0],
      [4, 4],
      [7, 4],
      [8, 8],
    ] as const)
      expect(filter().decode(new Uint8Array(length), 0)).toBe(done);
  });
});

describe("ARM Thumb", () => {
  const decode = (hex: string, position: number): [number, string] => {
    const bytes = fromHex(hex);
    return [armThumbFilter().decode(bytes, position), toHex(bytes)];
  };

  test.each([
    ["BL to 0x100 from 16", "00f080f8", 16, "00f076f8"],
    ["BL to 0 from 16, which is back", "00f000f8", 16, "fff7f6ff"],
    ["BL to -2 from 0", "fff7ffff", 0, "fff7fdff"],
  ])("%s", (_, encoded, position, decoded) => {
    expect(decode(encoded, position)).toEqual([4, decoded]);
  });

  test("has instructions of two bytes, after which a call may begin", () => {
    // The second half of the first pair is no second half of BL.
    expect(decode("00f000f080f8", 14)).toEqual([6, "00f000f076f8"]);
    for (const half of ["00f080f0", "00e880f8"]) expect(decode(half, 16)).toEqual([2, half]);
    expect(decode("00f080", 0)).toEqual([0, "00f080"]);
  });
});

describe("IA-64", () => {
  /** A branch with a distance: opcode 5, in bits 37 to 40. */
  const branch = (distance: number, other = 0n) =>
    (5n << 37n) | (BigInt(distance & 0xfffff) << 13n) | (BigInt((distance >> 20) & 1) << 36n) | other;
  const bundle = (template: number, ...slots: bigint[]): Uint8Array => {
    let word = slots.reduce((bits, slot, i) => bits | (slot << BigInt(5 + 41 * i)), BigInt(template));
    return Uint8Array.from({ length: 16 }, () => {
      const byte = Number(word & 0xffn);
      word >>= 8n;
      return byte;
    });
  };
  const decode = (bytes: Uint8Array, position: number): Uint8Array => {
    const copy = bytes.slice();
    expect(ia64Filter().decode(copy, position)).toBe(16);
    return copy;
  };

  test.each([
    [0x10, [false, false, true]],
    [0x12, [false, true, true]],
    [0x16, [true, true, true]],
    [0x18, [false, false, true]],
    [0x1c, [false, false, true]],
    [0x00, [false, false, false]],
    [0x14, [false, false, false]],
    [0x1f, [false, false, false]],
  ])("the template %i has branches in the slots %o", (template, areBranches) => {
    // Other bits of the instructions are kept.
    const slots = (distance: (isBranch: boolean) => number) =>
      areBranches.map((isBranch) => branch(distance(isBranch), 0x1ffn | (7n << 33n)));
    expect(decode(bundle(template, ...slots(() => 0x10)), 32)).toEqual(bundle(template, ...slots((is) => (is ? 0x0e : 0x10))));
  });

  test("distances may be negative, and have 21 bits", () => {
    expect(decode(bundle(0x10, 0n, 0n, branch(0)), 16)).toEqual(bundle(0x10, 0n, 0n, branch(-1)));
    expect(decode(bundle(0x10, 0n, 0n, branch(-1)), 16)).toEqual(bundle(0x10, 0n, 0n, branch(-2)));
    expect(decode(bundle(0x10, 0n, 0n, branch(0x100000)), 16)).toEqual(bundle(0x10, 0n, 0n, branch(0xfffff)));
  });

  test("other opcodes and types of branches stay", () => {
    for (const slot of [branch(0x10) ^ (1n << 37n), branch(0x10) ^ (1n << 40n), branch(0x10, 1n << 9n), branch(0x10, 1n << 11n)])
      expect(decode(bundle(0x10, 0n, 0n, slot), 32)).toEqual(bundle(0x10, 0n, 0n, slot));
  });

  test("waits for whole bundles", () => {
    for (const [length, done] of [
      [15, 0],
      [16, 16],
      [31, 16],
    ] as const)
      expect(ia64Filter().decode(new Uint8Array(length), 0)).toBe(done);
  });
});
