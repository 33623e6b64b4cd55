import { expect, test } from "vitest";
import { EntrySet } from "../../src/worker/entry-set.ts";

test("entries are in the set from when they are added until it is cleared", () => {
  const set = new EntrySet();
  const added = [0, 7, 8, 63, 1000, 100_000];
  const others = [1, 6, 9, 62, 64, 999, 1001, 99_999, 100_001, 10_000_000];
  expect(added.some((entry) => set.has(entry))).toBe(false);
  for (const entry of added) set.add(entry);
  set.add(8);
  expect(added.every((entry) => set.has(entry))).toBe(true);
  expect(others.some((entry) => set.has(entry))).toBe(false);
  set.clear();
  expect(added.some((entry) => set.has(entry))).toBe(false);
  expect([...set]).toEqual([]);
});

test("entries are yielded in ascending order, each once", () => {
  const set = new EntrySet();
  for (const entry of [100_000, 3, 8, 3, 0, 15]) set.add(entry);
  expect([...set]).toEqual([0, 3, 8, 15, 100_000]);
});

test("growth keeps the entries, at each multiple of eight", () => {
  const set = new EntrySet();
  const all: number[] = [];
  for (let entry = 0; entry < 100_000; entry += 4096) {
    for (const near of [entry, entry + 4095]) {
      set.add(near);
      all.push(near);
    }
  }
  expect([...set]).toEqual(all);
});

test("entries that are added during an iteration don't disturb it", () => {
  const set = new EntrySet();
  for (const entry of [1, 9]) set.add(entry);
  const seen: number[] = [];
  for (const entry of set) {
    seen.push(entry);
    // Makes the set grow.
    set.add(entry + 100_000);
  }
  expect(seen).toEqual([1, 9]);
  expect([...set]).toEqual([1, 9, 100_001, 100_009]);
});
