import { expect, test } from "vitest";
import { RecentlyUsed } from "../src/recently-used.ts";

const kept = <K, V>(map: RecentlyUsed<K, V>, keys: readonly K[]): K[] => keys.filter((key) => map.get(key) !== undefined);

test("the least recently used entry is dropped first, and a look-up counts as a use", () => {
  const map = new RecentlyUsed<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  expect(map.get("a")).toBe(1);
  map.set("c", 3);
  expect(kept(map, ["a", "b", "c"])).toEqual(["a", "c"]);
});

test("the sizes of current entries count", () => {
  const map = new RecentlyUsed<string, string>(10, ({ length }) => length);
  map.set("a", "12345678");
  map.set("a", "1234");
  map.set("b", "123456");
  expect(kept(map, ["a", "b"])).toEqual(["a", "b"]);
  map.delete("a");
  map.delete("none");
  map.set("c", "1234");
  expect(kept(map, ["a", "b", "c"])).toEqual(["b", "c"]);
  map.clear();
  expect(kept(map, ["b", "c"])).toEqual([]);
  map.set("d", "1234567890");
  expect(map.get("d")).toBe("1234567890");
});

test("an entry above the limit is not kept, and all other entries are dropped", () => {
  const map = new RecentlyUsed<string, string>(3, ({ length }) => length);
  map.set("a", "1");
  map.set("b", "1234");
  expect(kept(map, ["a", "b"])).toEqual([]);
});

test("evicted values are reported, deleted ones are not, and a peek is no use", () => {
  const evicted: [string, number][] = [];
  const map = new RecentlyUsed<string, number>(2, undefined, (key, value) => evicted.push([key, value]));
  map.set("a", 1);
  map.set("b", 2);
  expect(map.peek("a")).toBe(1);
  map.set("c", 3);
  expect(evicted).toEqual([["a", 1]]);
  map.delete("b");
  map.clear();
  expect(evicted).toEqual([["a", 1]]);
});
