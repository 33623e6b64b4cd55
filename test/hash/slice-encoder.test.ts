import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { GROUP_SIZE } from "../../src/hash/kernel/sizes.ts";
import type { Outboard } from "../../src/hash/outboard.ts";
import { encodeSlice, type SliceSource } from "../../src/hash/slice-encoder.ts";
import { content, factsOf, flipped, inPieces, outboardWith, random, treeOf, vectors } from "./bao-vectors.ts";
import { collect, decode, rejection, sliceOf, sourceOf } from "./slices.ts";

const MIB = 1024 * 1024;
const INFINITE = Number.POSITIVE_INFINITY;

test("slices of whole groups equal bao-tree's", async () => {
  for (const { first, end, ...facts } of vectors.slices) {
    const bytes = content(facts.size);
    const range = { offset: first * GROUP_SIZE, length: (end - first) * GROUP_SIZE };
    const { root, slice } = await sliceOf(bytes, range);
    expect([...slice.subarray(0, 8)]).toEqual([1, 14, 0, 0, 0, 0, 0, 0]);
    expect(factsOf(facts.size, slice, facts)).toEqual(facts);
    expect(Buffer.compare(decode(root, range, [slice]).bytes, bytes.subarray(range.offset, range.offset + range.length))).toBe(0);
  }
});

describe.each([0, 1, 1025, GROUP_SIZE - 1, GROUP_SIZE, GROUP_SIZE + 1, 3 * GROUP_SIZE, 7 * GROUP_SIZE + 1, 133 * GROUP_SIZE + 77])(
  "of %d bytes",
  (size) => {
    const bytes = content(size);
    const { root, outboard } = treeOf(bytes);
    const coarse = [2, 4, 16, 64].map((groups) => outboardWith(bytes, groups * GROUP_SIZE));

    test("any range is decoded, and its slice doesn't depend on the outboard's group size", async () => {
      const next = random(size + 3);
      for (let i = 0; i < 24; i++) {
        const offset = next(size + 10);
        const range = { offset, length: i % 6 === 0 ? INFINITE : next(i % 2 ? size + 10 : 3000) };
        const slice = await collect(encodeSlice(sourceOf(bytes, root, outboard), range));
        const other = coarse[i % 4] as Outboard;
        const same = await collect(encodeSlice(sourceOf(bytes, root, other, i % 2 ? 3 * MIB : 50_000), range));
        expect(Buffer.compare(same, slice)).toBe(0);
        const { bytes: proven, decoder } = decode(root, range, inPieces(slice, next, i % 3 ? 40_000 : 100));
        expect(Buffer.compare(proven, bytes.subarray(offset, offset + range.length))).toBe(0);
        expect(decoder.size).toBe(size);
        const empty = proven.length === 0;
        expect(decoder.provesSize).toBe(empty || Math.ceil((offset + proven.length) / GROUP_SIZE) >= Math.ceil(size / GROUP_SIZE));
      }
    });
  },
);

describe("the encoder", () => {
  const bytes = content(133 * GROUP_SIZE + 77);
  const { root, outboard } = treeOf(bytes);
  const outboards = [outboard, outboardWith(bytes, 4 * GROUP_SIZE), outboardWith(bytes, MIB)];
  const range = { offset: 70 * GROUP_SIZE + 5, length: 64 * 1024 };

  test("refuses content that does not match the outboard, anywhere in the groups that it reads", async () => {
    for (const [i, outboard] of outboards.entries()) {
      for (const byte of [range.offset, range.offset - 5, range.offset + 65_535, 64 * GROUP_SIZE]) {
        const source = sourceOf(flipped(bytes, 8 * byte), root, outboard);
        // This byte lies outside the range. Only the outboard with groups of 1 MiB has it in a
        // group that the range touches.
        const expected = byte !== 64 * GROUP_SIZE || i === 2 ? "corrupt" : undefined;
        expect(await rejection(collect(encodeSlice(source, range)))).toBe(expected);
      }
    }
  });

  test("refuses an outboard that does not match the blob, even for content of one group", async () => {
    for (const outboard of outboards) {
      const damaged = { ...outboard, nodes: flipped(outboard.nodes, 77) };
      expect(await rejection(collect(encodeSlice(sourceOf(bytes, root, damaged), range)))).toBe("corrupt");
    }
    for (const size of [0, 1, GROUP_SIZE]) {
      const bytes = content(size);
      const source = sourceOf(bytes, root, treeOf(bytes).outboard);
      expect(await rejection(collect(encodeSlice(source, range)))).toBe("corrupt");
    }
  });

  test("refuses a read that returns too few or too many bytes", async () => {
    for (const [from, to] of [
      [0, -1],
      [0, 0],
      [1, undefined],
    ] as const) {
      const read = async function* (offset: number, length: number): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(offset, offset + length).subarray(from, to);
      };
      expect(await rejection(collect(encodeSlice({ root, outboard, read }, range)))).toBe("corrupt");
    }
    const read = async function* (offset: number, length: number): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(offset, offset + length + 1);
    };
    expect(await rejection(collect(encodeSlice({ root, outboard, read }, range)))).toBe("corrupt");
  });

  test("refuses an invalid range", async () => {
    expect(await rejection(collect(encodeSlice(sourceOf(bytes, root, outboard), { offset: 1.5, length: 1 })))).toBe("invalid");
  });

  test("reads the outboard's groups that the range touches in one call, and stops with its reader", async () => {
    for (const [i, outboard] of outboards.entries()) {
      const reads: number[][] = [];
      let ended = false;
      const source: SliceSource = {
        root,
        outboard,
        async *read(offset, length) {
          reads.push([offset, length]);
          try {
            for (let at = offset; ; at += 1000) yield bytes.subarray(at, Math.min(at + 1000, offset + length));
          } finally {
            ended = true;
          }
        },
      };
      const pieces = encodeSlice(source, { offset: 64 * GROUP_SIZE, length: 20 * GROUP_SIZE });
      expect((await pieces.next()).value?.length).toBe(256 * 1024);
      await pieces.return();
      expect(ended).toBe(true);
      expect(reads).toEqual([[64 * GROUP_SIZE, [20, 20, 64][i] as number].map((n, j) => (j ? n * GROUP_SIZE : n))]);
    }
  });

  test("pieces belong to the reader: none changes later, and none holds a larger buffer", async () => {
    const pieces: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    for await (const piece of encodeSlice(sourceOf(bytes, root, outboard), { offset: 0, length: INFINITE })) {
      expect(piece.buffer.byteLength).toBe(piece.length);
      pieces.push(piece);
      copies.push(piece.slice());
    }
    expect(pieces.length).toBeGreaterThan(8);
    expect(Buffer.compare(concatBytes(pieces), concatBytes(copies))).toBe(0);
  });
});

test("the slice for 64 KiB of 65 MiB, with groups of 32 KiB, is shorter than 84 KiB", async () => {
  const bytes = content(65 * MIB + 1);
  const range = { offset: 33 * MIB + 12_345, length: 64 * 1024 };
  const { root, outboard } = treeOf(bytes);
  expect(outboard.groupSize).toBe(2 * GROUP_SIZE);
  const slice = await collect(encodeSlice(sourceOf(bytes, root, outboard), range));
  expect(slice.length).toBeLessThan(84 * 1024);
  expect(decode(root, range, [slice]).bytes).toEqual(bytes.slice(range.offset, range.offset + range.length));
});
