import { describe, expect, test } from "vitest";
import { kernel } from "../../src/hash/blake3.ts";
import { checkedRange, coveringGroups, groupCount, leftCount, VerifiedDescent } from "../../src/hash/group-tree.ts";
import { GROUP_SIZE } from "../../src/hash/kernel/sizes.ts";
import { codeOf, content, flipped, treeOf } from "./bao-vectors.ts";

const INFINITE = Number.POSITIVE_INFINITY;

test("content has at least one group", () => {
  expect([0, 1, 16, 17, 32, 33].map((size) => groupCount(size, 16))).toEqual([1, 1, 1, 2, 2, 3]);
});

test("the left subtree has the largest power of two below the number of groups", () => {
  expect([2, 3, 4, 5, 8, 9, 2 ** 31, 2 ** 31 + 1, 2 ** 39].map(leftCount)).toEqual([1, 2, 2, 4, 4, 8, 2 ** 30, 2 ** 31, 2 ** 38]);
});

describe("the groups of a range", () => {
  test.each([
    ["one byte", 100, { offset: 0, length: 1 }, { first: 0, last: 1, from: 0, to: 1 }],
    ["the last byte of a group", 100, { offset: 15, length: 1 }, { first: 0, last: 1, from: 15, to: 16 }],
    ["the first byte of a group", 100, { offset: 16, length: 1 }, { first: 1, last: 2, from: 16, to: 17 }],
    ["bytes of two groups", 100, { offset: 15, length: 2 }, { first: 0, last: 2, from: 15, to: 17 }],
    ["everything", 100, { offset: 0, length: INFINITE }, { first: 0, last: 7, from: 0, to: 100 }],
    ["more than there is", 100, { offset: 97, length: 50 }, { first: 6, last: 7, from: 97, to: 100 }],
    ["no bytes", 100, { offset: 20, length: 0 }, { first: 6, last: 7, from: 20, to: 20 }],
    ["the end", 100, { offset: 100, length: 1 }, { first: 6, last: 7, from: 100, to: 100 }],
    ["after the end", 96, { offset: 1000, length: INFINITE }, { first: 5, last: 6, from: 96, to: 96 }],
    ["empty content", 0, { offset: 0, length: INFINITE }, { first: 0, last: 1, from: 0, to: 0 }],
  ])("%s", (_, size, range, groups) => {
    expect(coveringGroups(size, 16, range)).toEqual(groups);
  });

  test.each([
    { offset: -1, length: 1 },
    { offset: 0.5, length: 1 },
    { offset: 2 ** 53, length: 1 },
    { offset: INFINITE, length: 1 },
    { offset: Number.NaN, length: 1 },
    { offset: 0, length: -1 },
    { offset: 0, length: 1.5 },
    { offset: 0, length: 2 ** 53 },
    { offset: 0, length: -INFINITE },
    { offset: 0, length: Number.NaN },
  ])("%o is no range", (range) => {
    expect(codeOf(() => checkedRange(range))).toBe("invalid");
    expect(codeOf(() => coveringGroups(10, 16, range))).toBe("invalid");
  });

  test("a range is returned as it is", () => {
    const range = { offset: 2 ** 53 - 1, length: 0 };
    expect(checkedRange(range)).toBe(range);
  });
});

describe("a descent", () => {
  // Five groups, of which the last has 7 bytes. The nodes 0 to 3, in pre-order, lie over the groups
  // 0 to 4, 0 to 3, 0 and 1, 2 and 3.
  const bytes = content(4 * GROUP_SIZE + 7);
  const { root, outboard } = treeOf(bytes);
  const node = (index: number) => outboard.nodes.subarray(64 * index, 64 * (index + 1));
  const group = (index: number) => bytes.subarray(index * GROUP_SIZE, (index + 1) * GROUP_SIZE);
  const descent = (first: number, last: number) => new VerifiedDescent(root, bytes.length, GROUP_SIZE, { first, last });

  /** Takes all items. Returns their numbers of groups, and the index of each node or group. */
  function items(first: number, last: number): [count: number, index: number][] {
    const it = descent(first, last);
    const found: [number, number][] = [];
    while (it.count > 0) {
      const index = it.offset / GROUP_SIZE;
      found.push([it.count, it.count > 1 ? it.node : index]);
      if (it.count > 1) it.takeNode(node(it.node));
      else it.takeGroup(group(index));
    }
    return found;
  }

  test("visits the nodes above its groups, and the groups", () => {
    expect(items(0, 5)).toEqual([
      [5, 0],
      [4, 1],
      [2, 2],
      [1, 0],
      [1, 1],
      [2, 3],
      [1, 2],
      [1, 3],
      [1, 4],
    ]);
    expect(items(3, 4)).toEqual([
      [5, 0],
      [4, 1],
      [2, 3],
      [1, 3],
    ]);
    expect(items(1, 3)).toEqual([
      [5, 0],
      [4, 1],
      [2, 2],
      [1, 1],
      [2, 3],
      [1, 2],
    ]);
    expect(items(4, 5)).toEqual([
      [5, 0],
      [1, 4],
    ]);
  });

  test("knows the length of each group, and which item is the root", () => {
    const it = descent(3, 5);
    expect(it.isRoot).toBe(true);
    it.takeNode(node(0));
    expect(it.isRoot).toBe(false);
    it.takeNode(node(1));
    it.takeNode(node(3));
    expect(it.groupLength).toBe(GROUP_SIZE);
    it.skipGroup();
    expect([it.count, it.groupLength]).toEqual([1, 7]);
    it.takeValue(kernel.subtree(group(4), 64));
    expect(it.count).toBe(0);
  });

  test.each([0, 1, 1024, GROUP_SIZE])("has one group, the root, for content of %d bytes", (size) => {
    const bytes = content(size);
    const { root } = treeOf(bytes);
    const open = () => new VerifiedDescent(root, size, GROUP_SIZE, { first: 0, last: 1 });
    const it = open();
    expect([it.count, it.isRoot, it.offset, it.groupLength]).toEqual([1, true, 0, size]);
    it.takeGroup(bytes);
    expect(it.count).toBe(0);
    expect(codeOf(() => open().takeGroup(new Uint8Array(size + 1)))).toBe("corrupt");
  });

  test("refuses nodes and groups that are others, and stays where it is", () => {
    const it = descent(0, 5);
    const longer = outboard.nodes.subarray(0, 65);
    for (const wrong of [node(1), flipped(node(0), 0), flipped(node(0), 511), node(0).subarray(1), longer])
      expect(codeOf(() => it.takeNode(wrong))).toBe("corrupt");
    it.takeNode(node(0));
    it.takeNode(node(1));
    it.takeNode(node(2));
    for (const wrong of [group(1), flipped(group(0), 9), group(0).subarray(1), new Uint8Array(0)])
      expect(codeOf(() => it.takeGroup(wrong))).toBe("corrupt");
    expect(codeOf(() => it.takeValue(kernel.blake3(group(0))))).toBe("corrupt");
    it.takeGroup(group(0));
    // Equal bytes at another place have another value.
    expect(codeOf(() => it.takeGroup(group(0)))).toBe("corrupt");
    it.takeGroup(group(1));
  });

  test("keeps copies of what it was given", () => {
    const mine = root.slice();
    const it = new VerifiedDescent(mine, bytes.length, GROUP_SIZE, { first: 4, last: 5 });
    mine.fill(0);
    const pair = node(0).slice();
    it.takeNode(pair);
    pair.fill(0);
    it.takeGroup(group(4));
    expect(it.count).toBe(0);
  });

  test("can't go on after its end", () => {
    const it = descent(4, 5);
    it.takeNode(node(0));
    it.takeGroup(group(4));
    expect([it.count, it.offset, it.node, it.isRoot]).toEqual([0, 0, 0, false]);
    expect(() => it.takeGroup(group(4))).toThrow(TypeError);
    expect(() => it.takeNode(node(0))).toThrow(TypeError);
  });
});
