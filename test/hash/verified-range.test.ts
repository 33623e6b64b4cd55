import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { GROUP_SIZE } from "../../src/hash/kernel/sizes.ts";
import type { Outboard } from "../../src/hash/outboard.ts";
import { VerifiedRange } from "../../src/hash/verified-range.ts";
import { codeOf, content, flipped, inPieces, outboardWith, random, treeOf } from "./bao-vectors.ts";

const SIZES = [0, 1, 1023, 1024, 1025, GROUP_SIZE - 1, GROUP_SIZE, GROUP_SIZE + 1, 2 * GROUP_SIZE, 2 * GROUP_SIZE + 1];
const LONGER = [3 * GROUP_SIZE - 1, 5 * GROUP_SIZE, 7 * GROUP_SIZE + 1, 33 * GROUP_SIZE + 77];

/** Reads the groups that the range needs, and returns the proven bytes. */
function read(bytes: Uint8Array, outboard: Outboard, root: Uint8Array, offset: number, length: number): Uint8Array {
  const range = new VerifiedRange(outboard, root, { offset, length });
  const proven = range.push(bytes.subarray(range.start, range.end));
  range.finish();
  return concatBytes(proven);
}

describe.each([...SIZES, ...LONGER])("of %d bytes", (size) => {
  const bytes = content(size);
  const { root, outboard } = treeOf(bytes);
  const outboards = [outboard, outboardWith(bytes, 2 * GROUP_SIZE), outboardWith(bytes, 16 * GROUP_SIZE)];

  test("any range equals the content, in pieces of any length", () => {
    const next = random(size + 1);
    for (let i = 0; i < 40; i++) {
      const offset = next(size + 10);
      const length = i % 5 === 0 ? Number.POSITIVE_INFINITY : next(i % 2 ? size + 10 : 2000);
      const range = new VerifiedRange(outboards[i % 3] as Outboard, root, { offset, length });
      const proven: Uint8Array[] = [];
      for (const piece of inPieces(bytes.subarray(range.start, range.end), next)) proven.push(...range.push(piece));
      range.finish();
      expect(Buffer.compare(concatBytes(proven), bytes.subarray(offset, offset + length))).toBe(0);
    }
  });

  test("missing and surplus bytes are refused", () => {
    for (const outboard of outboards) {
      const range = new VerifiedRange(outboard, root, { offset: 0, length: Number.POSITIVE_INFINITY });
      if (size > 0) {
        range.push(bytes.subarray(0, -1));
        expect(codeOf(() => range.finish())).toBe("corrupt");
        expect(codeOf(() => range.push(bytes.subarray(-1)))).toBe("corrupt");
      }
      const whole = new VerifiedRange(outboard, root, { offset: 0, length: size });
      expect(codeOf(() => whole.push(concatBytes([bytes, new Uint8Array(1)])))).toBe("corrupt");
      const later = new VerifiedRange(outboard, root, { offset: 0, length: size });
      later.push(bytes);
      expect(codeOf(() => later.push(new Uint8Array(1)))).toBe("corrupt");
    }
  });

  test("a wrong size is detected in ranges at or behind the end", () => {
    for (const wrong of [size - 1, size + 1, size - 1024, size + 1024, size - GROUP_SIZE, size + GROUP_SIZE]) {
      if (wrong < 0) continue;
      for (const outboard of outboards) {
        const claimed = { ...outboard, size: wrong };
        const padded = concatBytes([bytes, new Uint8Array(2 * GROUP_SIZE)]);
        for (const offset of [0, Math.max(0, wrong - 1), wrong, wrong + 5])
          expect(codeOf(() => read(padded, claimed, root, offset, Number.POSITIVE_INFINITY))).toBe("corrupt");
      }
    }
  });
});

test("the needed groups are those that the range touches, or the last one", () => {
  const bytes = content(5 * GROUP_SIZE + 1);
  const { root, outboard } = treeOf(bytes);
  const needed = (offset: number, length: number): number[] => {
    const { start, end } = new VerifiedRange(outboard, root, { offset, length });
    return [start, end];
  };
  expect(needed(0, 1)).toEqual([0, GROUP_SIZE]);
  expect(needed(GROUP_SIZE - 1, 1)).toEqual([0, GROUP_SIZE]);
  expect(needed(GROUP_SIZE - 1, 2)).toEqual([0, 2 * GROUP_SIZE]);
  expect(needed(GROUP_SIZE, GROUP_SIZE)).toEqual([GROUP_SIZE, 2 * GROUP_SIZE]);
  expect(needed(5 * GROUP_SIZE, 100)).toEqual([5 * GROUP_SIZE, 5 * GROUP_SIZE + 1]);
  expect(needed(0, 0)).toEqual([5 * GROUP_SIZE, 5 * GROUP_SIZE + 1]);
  expect(needed(9e15, Number.POSITIVE_INFINITY)).toEqual([5 * GROUP_SIZE, 5 * GROUP_SIZE + 1]);
  expect(needed(3 * GROUP_SIZE, Number.MAX_SAFE_INTEGER)).toEqual([3 * GROUP_SIZE, 5 * GROUP_SIZE + 1]);
});

test("a flipped bit anywhere in a group is refused, and nothing is accepted afterwards", () => {
  const bytes = content(2 * GROUP_SIZE + 5);
  const { root, outboard } = treeOf(bytes);
  const next = random(5);
  for (let byte = 0; byte < bytes.length; byte += 7) {
    const group = Math.floor(byte / GROUP_SIZE);
    const range = new VerifiedRange(outboard, root, { offset: group * GROUP_SIZE + 3, length: 1 });
    const damaged = flipped(bytes, 8 * byte + next(8)).subarray(range.start, range.end);
    expect(codeOf(() => range.push(damaged))).toBe("corrupt");
    if (byte % 1000 < 7) {
      expect(codeOf(() => range.push(bytes.subarray(range.start, range.end)))).toBe("corrupt");
      expect(codeOf(() => range.finish())).toBe("corrupt");
    }
  }
});

test("a flipped bit in a node above the range is refused", () => {
  const bytes = content(4 * GROUP_SIZE);
  const { root, outboard } = treeOf(bytes);
  // The damaged nodes are the root and its left child, not its right child.
  for (let bit = 0; bit < 8 * 128; bit++) {
    const damaged = { ...outboard, nodes: flipped(outboard.nodes, bit) };
    expect(codeOf(() => read(bytes, damaged, root, 0, 5))).toBe("corrupt");
  }
  expect(read(bytes, { ...outboard, nodes: flipped(outboard.nodes, 8 * 128) }, root, 0, 5)).toEqual(bytes.subarray(0, 5));
});

test("groups within a piece are passed on without a copy", () => {
  const bytes = content(4 * GROUP_SIZE);
  const { root, outboard } = treeOf(bytes);
  const range = new VerifiedRange(outboard, root, { offset: 10, length: 3 * GROUP_SIZE });
  for (const part of range.push(bytes)) expect(part.buffer).toBe(bytes.buffer);
});

test.each([
  [-1, 5],
  [0.5, 5],
  [0, -1],
  [0, 1.5],
  [Number.NaN, 5],
  [0, Number.NaN],
  [Number.POSITIVE_INFINITY, 5],
  [0, Number.NEGATIVE_INFINITY],
])("there is no range at %d of %d bytes", (offset, length) => {
  const { root, outboard } = treeOf(content(10));
  expect(codeOf(() => new VerifiedRange(outboard, root, { offset, length }))).toBe("invalid");
});
