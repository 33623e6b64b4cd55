import { describe, expect, test } from "vitest";
import { StagedObjects } from "../../../src/node/objects/staged-objects.ts";

const BYTES = new Uint8Array(3);

test("objects are found by key, in any group", () => {
  const staged = new StagedObjects();
  expect([staged.count, staged.bytes, staged.get("a")]).toEqual([0, 0, undefined]);
  staged.add(2, "a", BYTES);
  staged.add(0, "b", new Uint8Array(0));
  expect([staged.count, staged.bytes]).toEqual([2, 3]);
  expect(staged.get("a")).toBe(BYTES);
  expect(staged.get("b")).toEqual(new Uint8Array(0));
  expect(staged.get("c")).toBeUndefined();
  expect(staged.groups.map((group) => [...group.keys()])).toEqual([["b"], [], ["a"]]);
});

test("batches are merged group by group", () => {
  const [first, second] = [new StagedObjects(), new StagedObjects()];
  first.add(0, "a", BYTES);
  first.add(1, "b", BYTES);
  second.add(0, "c", BYTES);
  second.add(2, "d", BYTES);
  const merged = new StagedObjects(first, undefined, second);
  expect(merged.groups.map((group) => [...group.keys()])).toEqual([["a", "c"], ["b"], ["d"]]);
  expect([merged.count, merged.bytes]).toEqual([4, 12]);
});

describe("a batch is full", () => {
  test("at 16 MiB", () => {
    const staged = new StagedObjects();
    staged.add(0, "a", new Uint8Array(16 * 1024 * 1024 - 1));
    expect(staged.isFull).toBe(false);
    staged.add(1, "b", new Uint8Array(1));
    expect(staged.isFull).toBe(true);
  });

  test("at 8192 objects in all groups", () => {
    const staged = new StagedObjects();
    for (let i = 0; i < 8191; i++) staged.add(i % 2, `${i}`, new Uint8Array(0));
    expect(staged.isFull).toBe(false);
    staged.add(2, "last", new Uint8Array(0));
    expect(staged.isFull).toBe(true);
  });
});
