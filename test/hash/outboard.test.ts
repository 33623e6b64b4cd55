import { describe, expect, test } from "vitest";
import { concatBytes, toHex } from "../../src/bytes.ts";
import { kernel } from "../../src/hash/blake3.ts";
import { GROUP_SIZE } from "../../src/hash/kernel/sizes.ts";
import { checkOutboard, decodeOutboard, encodeOutboard, groupSizeOf, OutboardBuilder } from "../../src/hash/outboard.ts";
import { codeOf, content, factsOf, flipped, outboardWith, random, treeOf, vectors } from "./bao-vectors.ts";

const MIB = 1024 * 1024;

describe("the encoding", () => {
  test.each(vectors.outboards)("of $size bytes in groups of 2^$groupLog equals bao-tree's", ({ root, groupLog, ...facts }) => {
    const bytes = content(facts.size);
    const tree = treeOf(bytes);
    expect(toHex(tree.root)).toBe(root);
    const outboard = 2 ** groupLog === tree.outboard.groupSize ? tree.outboard : outboardWith(bytes, 2 ** groupLog);
    checkOutboard(outboard, tree.root);
    if (outboard !== tree.outboard) {
      // Content this short has smaller groups, so our format can't encode this outboard. Its nodes
      // equal bao-tree's.
      expect(() => encodeOutboard(outboard)).toThrow(TypeError);
      const size = new Uint8Array(new BigUint64Array([BigInt(facts.size)]).buffer);
      expect(factsOf(facts.size, concatBytes([new Uint8Array(8), size, outboard.nodes]), facts)).toEqual(facts);
      return;
    }
    const encoded = encodeOutboard(outboard);
    expect([...encoded.subarray(0, 8)]).toEqual([1, groupLog, 0, 0, 0, 0, 0, 0]);
    expect(factsOf(facts.size, encoded, facts)).toEqual(facts);
    expect(decodeOutboard(encoded)).toEqual(outboard);
  });

  test("groups are 16 KiB while there are at most 4096, and 1 MiB at most", () => {
    expect([0, 1, 64 * MIB].map(groupSizeOf)).toEqual([GROUP_SIZE, GROUP_SIZE, GROUP_SIZE]);
    expect([64 * MIB + 1, 128 * MIB, 128 * MIB + 1].map(groupSizeOf)).toEqual([2 * GROUP_SIZE, 2 * GROUP_SIZE, 4 * GROUP_SIZE]);
    expect([2048 * MIB, 2048 * MIB + 1, 4097 * MIB, Number.MAX_SAFE_INTEGER].map(groupSizeOf)).toEqual([MIB / 2, MIB, MIB, MIB]);
  });

  const { root, outboard } = treeOf(content(6 * GROUP_SIZE + 100));
  const encoded = encodeOutboard(outboard);

  test("bytes that are not exactly one outboard are refused", () => {
    const refused: Uint8Array[] = [encoded.subarray(0, 15), encoded.subarray(0, -1), concatBytes([encoded, new Uint8Array(1)])];
    for (let bit = 0; bit < 64; bit++) refused.push(flipped(encoded, bit));
    // These bits give a size with a different number of groups.
    for (let bit = 64 + 14; bit < 128; bit++) refused.push(flipped(encoded, bit));
    refused.push(new Uint8Array(0), encoded.subarray(0, 16));
    for (const bytes of refused) expect(codeOf(() => decodeOutboard(bytes))).toBe("invalid");
  });

  test("a group size that does not belong to the content's size is refused", () => {
    const header = encoded.slice(0, 16);
    header[1] = 15;
    const coarse = outboardWith(content(6 * GROUP_SIZE + 100), 2 * GROUP_SIZE);
    checkOutboard(coarse, root);
    expect(codeOf(() => decodeOutboard(concatBytes([header, coarse.nodes])))).toBe("invalid");
  });

  test("a size above the largest safe integer is refused", () => {
    const header = encoded.slice(0, 16);
    header.set([0, 0, 0, 0, 0, 0, 0x20, 0], 8);
    expect(codeOf(() => decodeOutboard(header))).toBe("invalid");
  });

  test("a view anywhere in a buffer is decoded", () => {
    const larger = concatBytes([new Uint8Array(3), encoded, new Uint8Array(5)]);
    expect(decodeOutboard(larger.subarray(3, -5))).toEqual(outboard);
  });
});

describe("checking", () => {
  test.each([2, 3, 7, 13])("every flipped bit in the nodes of %d groups is refused", (groups) => {
    const { root, outboard } = treeOf(content(groups * GROUP_SIZE - 7));
    checkOutboard(outboard, root);
    expect(outboard.nodes.length).toBe(64 * (groups - 1));
    for (let bit = 0; bit < 8 * outboard.nodes.length; bit++) {
      expect(codeOf(() => checkOutboard({ ...outboard, nodes: flipped(outboard.nodes, bit) }, root))).toBe("corrupt");
    }
    for (let bit = 0; bit < 256; bit++) expect(codeOf(() => checkOutboard(outboard, flipped(root, bit)))).toBe("corrupt");
  });

  test("nodes in post-order, a missing node and a surplus node are refused", () => {
    const bytes = content(5 * GROUP_SIZE);
    const { root, outboard } = treeOf(bytes);
    expect(codeOf(() => checkOutboard({ ...outboard, nodes: kernel.outboard(bytes).nodes }, root))).toBe("corrupt");
    expect(codeOf(() => checkOutboard({ ...outboard, nodes: outboard.nodes.subarray(64) }, root))).toBe("invalid");
    expect(codeOf(() => checkOutboard({ ...outboard, size: outboard.size + 1 }, root))).toBe("invalid");
  });
});

describe("the builder", () => {
  /**
   * Makes labels in place of nodes: each has its first group and its number of groups. In
   * post-order they come from perfect subtrees, as the kernel's nodes do.
   */
  function labels(groups: number, least: number, order: "pre" | "post"): Uint8Array {
    const labels: number[] = [];
    const visit = (start: number, count: number): void => {
      if (count <= least) return;
      let left = 1;
      while (2 * left < count) left *= 2;
      if (order === "pre") labels.push(start, count);
      visit(start, left);
      visit(start + left, count - left);
      if (order === "post") labels.push(start, count);
    };
    visit(0, groups);
    const nodes = new Uint32Array(8 * labels.length);
    for (let i = 0; i < labels.length; i += 2) nodes.set(labels.slice(i, i + 2), 8 * i);
    return new Uint8Array(nodes.buffer);
  }

  const COUNTS = [1, 2, 3, 40, 41, 42, 100, 4095, 4096, 4097, 4098, 4099, 8191, 8192, 8193, 12_345, 16_384, 16_385, 65_535, 65_537];

  test.each([...COUNTS, 262_144, 262_145, 300_007])(
    "%d groups become groups of the size that belongs to the content's size",
    (groups) => {
      const next = random(groups);
      const size = groups * GROUP_SIZE - next(GROUP_SIZE);
      const nodes = labels(groups, 1, "post");
      const builder = new OutboardBuilder();
      for (let at = 0; at < nodes.length; ) {
        const length = 64 * next(next(3) === 0 ? 3 : 5000);
        builder.push(nodes.subarray(at, at + length));
        at += length;
      }
      const outboard = builder.finish(size);
      expect(outboard.size).toBe(size);
      expect(outboard.groupSize).toBe(groupSizeOf(size));
      const expected = labels(groups, outboard.groupSize / GROUP_SIZE, "pre");
      expect(outboard.nodes.length).toBe(expected.length);
      expect(Buffer.compare(outboard.nodes, expected)).toBe(0);
    },
  );

  test("accepts the nodes of a streaming pass, piece by piece", () => {
    const bytes = content(1_234_567);
    const expected = treeOf(bytes).outboard;
    const builder = new OutboardBuilder();
    const pass = kernel.pass({ onNodes: (nodes) => builder.push(nodes) });
    for (let at = 0; at < bytes.length; at += 77_777) pass.update(bytes.subarray(at, at + 77_777));
    pass.end();
    pass.free();
    expect(builder.finish(bytes.length)).toEqual(expected);
  });

  test("throws if the number of nodes does not match the size, or a node is incomplete", () => {
    const builder = new OutboardBuilder();
    builder.push(new Uint8Array(64 * 5));
    expect(() => builder.finish(5 * GROUP_SIZE)).toThrow(TypeError);
    expect(() => builder.push(new Uint8Array(63))).toThrow(RangeError);
  });
});
