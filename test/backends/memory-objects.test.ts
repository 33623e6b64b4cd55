import { beforeEach, describe, expect, test } from "vitest";
import { MemoryObjectStore } from "../../src/backends/memory-objects.ts";

/** src/conformance has the rules of every object store. */

const reason = new Error("enough");
const signal = AbortSignal.abort(reason);
const invalid = { name: "StoreError", code: "invalid" };

let store: MemoryObjectStore;
beforeEach(async () => {
  store = new MemoryObjectStore();
  await store.put("a/1", Uint8Array.of(1, 2, 3));
});

async function keys(prefix: string, options?: { signal?: AbortSignal }): Promise<string[]> {
  const found: string[] = [];
  for await (const { key, size } of store.list(prefix, options)) found.push(`${key} ${size}`);
  return found;
}

test("the bytes that come out are copies", async () => {
  const bytes = await store.get("a/1", { limit: 3, range: { offset: 1, length: 2 } });
  expect(bytes).toEqual(Uint8Array.of(2, 3));
  bytes?.fill(9);
  expect(await store.get("a/1", { limit: 3 })).toEqual(Uint8Array.of(1, 2, 3));
});

test("an object that is longer than the limit is refused", async () => {
  await expect(store.get("a/1", { limit: 2 })).rejects.toMatchObject({ code: "corrupt" });
  expect(await store.get("a/2", { limit: 0 })).toBeUndefined();
});

test("an object is replaced, unless only an absent one is to be put", async () => {
  expect(await store.put("a/1", Uint8Array.of(4), { ifAbsent: true })).toBe(false);
  expect(await store.get("a/1", { limit: 3 })).toEqual(Uint8Array.of(1, 2, 3));
  expect(await store.put("a/2", Uint8Array.of(5), { ifAbsent: true })).toBe(true);
  expect(await store.put("a/1", Uint8Array.of(4))).toBe(true);
  expect(await store.get("a/1", { limit: 3 })).toEqual(Uint8Array.of(4));
  expect([await store.has("a/2"), await store.has("a/3")]).toEqual([true, false]);
});

test("keys are listed in order, by their beginnings", async () => {
  await store.putMany([new Map([["b", new Uint8Array(2)]]), new Map([["a/0", new Uint8Array(1)]])]);
  expect(await keys("")).toEqual(["a/0 1", "a/1 3", "b 2"]);
  expect(await keys("a/")).toEqual(["a/0 1", "a/1 3"]);
  expect(await keys("/")).toEqual([]);
});

test("a listing goes on when an object is deleted meanwhile, and ends at an abort", async () => {
  await store.put("a/2", new Uint8Array(2));
  const found: string[] = [];
  for await (const { key } of store.list("")) {
    found.push(key);
    store.objects.delete("a/2");
  }
  expect(found).toEqual(["a/1"]);
  await store.put("a/2", new Uint8Array(2));
  const controller = new AbortController();
  const all = async (): Promise<void> => {
    for await (const _ of store.list("", { signal: controller.signal })) controller.abort(reason);
  };
  await expect(all()).rejects.toBe(reason);
});

describe("nothing happens", () => {
  test("if a key is not valid, of one object or of any in a group", async () => {
    await expect(store.get("/", { limit: 1 })).rejects.toMatchObject(invalid);
    await expect(store.has("/")).rejects.toMatchObject(invalid);
    await expect(store.put("/", new Uint8Array(1))).rejects.toMatchObject(invalid);
    const groups = [new Map([["b", new Uint8Array(1)]]), new Map([["/", new Uint8Array(1)]])];
    await expect(store.putMany(groups)).rejects.toMatchObject(invalid);
    expect(await keys("")).toEqual(["a/1 3"]);
  });

  test("if the call is aborted", async () => {
    await expect(store.get("a/1", { limit: 3, signal })).rejects.toBe(reason);
    await expect(store.has("a/1", { signal })).rejects.toBe(reason);
    await expect(store.put("b", new Uint8Array(1), { signal })).rejects.toBe(reason);
    await expect(store.putMany([new Map([["b", new Uint8Array(1)]])], { signal })).rejects.toBe(reason);
    await expect(keys("none", { signal })).rejects.toBe(reason);
    expect(await keys("")).toEqual(["a/1 3"]);
  });
});
