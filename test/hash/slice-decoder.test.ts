import { describe, expect, test } from "vitest";
import type { ByteRange } from "../../src/byte-range.ts";
import { concatBytes, EMPTY_BYTES } from "../../src/bytes.ts";
import { GROUP_SIZE } from "../../src/hash/kernel/sizes.ts";
import type { Outboard } from "../../src/hash/outboard.ts";
import { SliceDecoder } from "../../src/hash/slice-decoder.ts";
import { encodeSlice } from "../../src/hash/slice-encoder.ts";
import { codeOf, content, flipped, random, treeOf } from "./bao-vectors.ts";
import { collect, decode, sliceOf, sourceOf } from "./slices.ts";

const INFINITE = Number.POSITIVE_INFINITY;

describe.each([0, 1, 1025, GROUP_SIZE - 1, GROUP_SIZE, GROUP_SIZE + 1, 3 * GROUP_SIZE, 7 * GROUP_SIZE + 1, 133 * GROUP_SIZE + 77])(
  "of %d bytes",
  (size) => {
    const bytes = content(size);
    const { root, outboard } = treeOf(bytes);

    test("a slice that is cut short or has additional bytes is refused", async () => {
      const range = { offset: Math.floor(size / 2), length: 20_000 };
      const slice = await collect(encodeSlice(sourceOf(bytes, root, outboard), range));
      for (const length of [0, 1, 15, 16, 17, 79, 80, slice.length - GROUP_SIZE, slice.length - 64, slice.length - 1]) {
        if (length < 0 || length >= slice.length) continue;
        const decoder = new SliceDecoder(root, range);
        decoder.push(slice.subarray(0, length));
        expect(codeOf(() => decoder.finish())).toBe("corrupt");
        expect(codeOf(() => decoder.push(slice.subarray(length)))).toBe("corrupt");
      }
      expect(codeOf(() => decode(root, range, [concatBytes([slice, new Uint8Array(1)])]))).toBe("corrupt");
      expect(codeOf(() => decode(root, range, [slice, new Uint8Array(1)]))).toBe("corrupt");
      expect(decode(root, range, [slice, EMPTY_BYTES]).decoder.size).toBe(size);
    });
  },
);

test("decodes byte by byte", async () => {
  const bytes = content(2 * GROUP_SIZE + 3);
  const range = { offset: 5, length: 2 * GROUP_SIZE };
  const { root, slice } = await sliceOf(bytes, range);
  const single = Array.from(slice, (byte) => Uint8Array.of(byte));
  expect(decode(root, range, single).bytes).toEqual(bytes.subarray(5, 5 + 2 * GROUP_SIZE));
});

describe("a flipped bit is refused", () => {
  const bytes = content(6 * GROUP_SIZE + 100);

  test.each([
    ["a range with the last group", { offset: 5 * GROUP_SIZE + 9, length: INFINITE }],
    ["an empty range", { offset: 0, length: 0 }],
  ])("in a slice for %s: every bit of header and nodes, and one bit in each seventh byte of content", async (_, range) => {
    const { root, slice } = await sliceOf(bytes, range);
    const next = random(1);
    const nodesEnd = slice.length - (range.length === 0 ? 100 : GROUP_SIZE + 100);
    for (let byte = 0; byte < slice.length; byte += byte < nodesEnd || byte >= slice.length - 100 ? 1 : 7) {
      for (const bit of byte < nodesEnd ? [0, 1, 2, 3, 4, 5, 6, 7] : [next(8)]) {
        const code = codeOf(() => decode(root, range, [flipped(slice, 8 * byte + bit)]));
        expect(byte < 8 ? ["invalid"] : byte < 16 ? ["invalid", "corrupt"] : ["corrupt"]).toContain(code);
      }
    }
  });

  test("in a slice without the last group, except in an unproven size that leads to the same nodes", async () => {
    const range = { offset: 2 * GROUP_SIZE + 50, length: 700 };
    const { root, slice } = await sliceOf(bytes, range);
    let unnoticed = 0;
    for (let bit = 0; bit < 8 * slice.length; bit += bit < 8 * 300 ? 1 : 61) {
      let result: ReturnType<typeof decode> | undefined;
      expect(codeOf(() => (result = decode(root, range, [flipped(slice, bit)]))) === undefined).toBe(result !== undefined);
      if (!result) continue;
      unnoticed++;
      expect(bit >= 64 && bit < 64 + 16).toBe(true);
      expect(result.decoder.provesSize).toBe(false);
      expect(result.bytes).toEqual(bytes.subarray(range.offset, range.offset + range.length));
    }
    expect(unnoticed).toBeGreaterThan(0);
  });

  test("in a group, together with its whole piece and all later ones", async () => {
    const range = { offset: 0, length: INFINITE };
    const { root, slice } = await sliceOf(bytes, range);
    const decoder = new SliceDecoder(root, range);
    expect(codeOf(() => decoder.push(flipped(slice, 8 * 60_000).subarray(0, 70_000)))).toBe("corrupt");
    expect(codeOf(() => decoder.push(slice.subarray(70_000)))).toBe("corrupt");
    expect(codeOf(() => decoder.finish())).toBe("corrupt");
    // The decoder does not accept a second attempt for the damaged group. The first group comes
    // after three nodes.
    const at = 16 + 3 * 64;
    const other = new SliceDecoder(root, range);
    other.push(slice.subarray(0, at));
    expect(codeOf(() => other.push(flipped(slice, 8 * at).subarray(at, at + GROUP_SIZE)))).toBe("corrupt");
    expect(codeOf(() => other.push(slice.subarray(at)))).toBe("corrupt");
  });
});

describe("a sender that lies about the size", () => {
  const SIZES = [0, 1, 1024, 1025, GROUP_SIZE, GROUP_SIZE + 1, 2 * GROUP_SIZE, 3 * GROUP_SIZE, 4 * GROUP_SIZE, 5 * GROUP_SIZE + 7];
  const OFF = [-5 * GROUP_SIZE, -2 * GROUP_SIZE, -GROUP_SIZE, -1024, -1, 1, 1024, GROUP_SIZE, 2 * GROUP_SIZE, 4 * GROUP_SIZE];

  /** A node of the real tree with its children. A group has `bytes`. */
  type Tree = { pair: Uint8Array; left: Tree; right: Tree } | undefined;

  function realTree({ nodes }: Outboard): Tree {
    let at = 0;
    const build = (count: number): Tree => {
      if (count <= 1) return undefined;
      const pair = nodes.subarray(64 * at, 64 * ++at);
      const half = 2 ** Math.floor(Math.log2(count - 1));
      return { pair, left: build(half), right: build(count - half) };
    };
    return build(nodes.length / 64 + 1);
  }

  /**
   * Makes the best forgery for a claimed size: it uses each node that the real tree has in common
   * with the claimed tree.
   */
  function forged(bytes: Uint8Array, tree: Tree, claimed: number, range: ByteRange): Uint8Array {
    const header = new Uint8Array(16);
    header.set([1, 14]);
    new DataView(header.buffer).setBigUint64(8, BigInt(claimed), true);
    const parts: Uint8Array[] = [header];
    const groups = Math.max(1, Math.ceil(claimed / GROUP_SIZE));
    const end = Math.min(range.offset + range.length, claimed);
    const empty = range.offset >= end;
    const first = empty ? groups - 1 : Math.floor(range.offset / GROUP_SIZE);
    const last = empty ? groups : Math.ceil(end / GROUP_SIZE);
    const visit = (start: number, count: number, real: Tree): void => {
      if (start >= last || start + count <= first) return;
      if (count === 1) {
        const group = new Uint8Array(Math.min(GROUP_SIZE, claimed - start * GROUP_SIZE));
        group.set(bytes.subarray(start * GROUP_SIZE, start * GROUP_SIZE + group.length));
        parts.push(group);
        return;
      }
      parts.push(real?.pair ?? new Uint8Array(64));
      const half = 2 ** Math.floor(Math.log2(count - 1));
      visit(start, half, real?.left);
      visit(start + half, count - half, real?.right);
    };
    visit(0, groups, tree);
    return concatBytes(parts);
  }

  test.each(SIZES)("of %d bytes can neither change nor omit bytes, nor prove a wrong size", (size) => {
    const bytes = content(size);
    const { root, outboard } = treeOf(bytes);
    const tree = realTree(outboard);
    let lies = 0;
    for (const claimed of [size, ...OFF.map((by) => size + by), 2 * size, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      if (claimed < 0 || (claimed === size && lies > 0)) continue;
      if (claimed !== size) lies++;
      for (const offset of [
        0,
        1,
        GROUP_SIZE - 1,
        GROUP_SIZE,
        2 * GROUP_SIZE,
        size - 1,
        size,
        claimed - 1,
        claimed,
        size + GROUP_SIZE,
      ]) {
        for (const length of [0, 1, 100, GROUP_SIZE, GROUP_SIZE + 1, size, INFINITE]) {
          if (offset < 0 || (claimed > 2 ** 30 && length > size)) continue;
          const range = { offset, length };
          const slice = forged(bytes, tree, claimed, range);
          let result: ReturnType<typeof decode> | undefined;
          const code = codeOf(() => (result = decode(root, range, [slice])));
          if (claimed === size) expect(code).toBe(undefined);
          if (!result) continue;
          expect(Buffer.compare(result.bytes, bytes.subarray(offset, offset + length))).toBe(0);
          if (claimed !== size) expect(result.decoder.provesSize).toBe(false);
        }
      }
    }
    expect(lies).toBeGreaterThan(0);
  });

  test("causes no memory use and no delay", () => {
    const range = { offset: 2 ** 50, length: INFINITE };
    const decoder = new SliceDecoder(new Uint8Array(32), range);
    const header = new Uint8Array(16);
    header.set([1, 14]);
    new DataView(header.buffer).setBigUint64(8, BigInt(Number.MAX_SAFE_INTEGER), true);
    expect(decoder.push(header)).toEqual([]);
    expect(codeOf(() => decoder.push(new Uint8Array(64)))).toBe("corrupt");
  });
});

test("headers that version 1 doesn't define are refused", async () => {
  const range = { offset: 0, length: INFINITE };
  const { root, slice } = await sliceOf(content(100), range);
  for (const [at, value] of [
    [0, 0],
    [0, 2],
    [1, 10],
    [1, 13],
    [1, 15],
    [1, 255],
    [2, 1],
    [7, 128],
    [15, 1],
    [14, 32],
  ] as const) {
    const wrong = slice.slice();
    wrong[at] = value;
    expect(codeOf(() => decode(root, range, [wrong]))).toBe("invalid");
  }
  expect(codeOf(() => new SliceDecoder(root, { offset: -1, length: 1 }))).toBe("invalid");
  expect(codeOf(() => new SliceDecoder(root, { offset: 0, length: Number.NaN }))).toBe("invalid");
});
