import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8 } from "../bytes.ts";
import type { ObjectInfo, ObjectStore } from "../castore/object-store.ts";
import { pseudoRandom } from "./content.ts";

/** An ObjectStore, for the suite. */
export interface SuiteObjectStore {
  /** Name of the store, for the names of the tests. */
  readonly name: string;
  /** Opens an empty store. */
  open(): Promise<{ store: ObjectStore; close(): Promise<void> }>;
}

const LIMIT = 1_000_000;

/** Tests the rules of `ObjectStore`, for any implementation. */
export function objectStoreSuite({ name, open }: SuiteObjectStore): void {
  describe(`ObjectStore: ${name}`, () => {
    let store: ObjectStore;
    let close: () => Promise<void>;

    beforeAll(async () => {
      ({ store, close } = await open());
    });
    afterAll(() => close());

    const read = (key: string, range?: { offset: number; length: number }) => store.get(key, { limit: LIMIT, range });

    async function listed(prefix: string): Promise<ObjectInfo[]> {
      const all: ObjectInfo[] = [];
      for await (const info of store.list(prefix)) all.push(info);
      return all;
    }

    test("what is missing is undefined", async () => {
      expect(await read("missing/a")).toBeUndefined();
      expect(await read("missing/a", { offset: 1, length: 1 })).toBeUndefined();
      expect(await store.has("missing/a")).toBe(false);
      expect(await listed("missing/")).toEqual([]);
    });

    test("keeps objects of any length, and replaces them", async () => {
      for (const [i, length] of [0, 1, 70_000, 3].entries()) {
        const bytes = pseudoRandom(length, i + 1);
        expect(await store.put("put/one", bytes)).toBe(true);
        expect(await read("put/one")).toEqual(bytes);
        expect(await store.has("put/one")).toBe(true);
      }
    });

    test("a part of a key is not an object", async () => {
      await store.put("parts/of/a-key", utf8("x"));
      for (const key of ["parts", "parts/of", "parts/of/a", "parts/of/a-key/more"]) {
        expect(await store.has(key)).toBe(false);
        expect(await read(key)).toBeUndefined();
      }
    });

    test("a conditional put leaves an existing object as it is, and says so", async () => {
      expect(await store.put("conditional/one", utf8("first"), { ifAbsent: true })).toBe(true);
      expect(await store.put("conditional/one", utf8("second"), { ifAbsent: true })).toBe(false);
      expect(await read("conditional/one")).toEqual(utf8("first"));
      expect(await store.put("conditional/one", utf8("third"), { ifAbsent: false })).toBe(true);
      expect(await read("conditional/one")).toEqual(utf8("third"));
    });

    test("of concurrent conditional puts one writes", async () => {
      const contents = ["a", "b", "c", "d", "e"].map(utf8);
      const written = await Promise.all(contents.map((bytes) => store.put("conditional/race", bytes, { ifAbsent: true })));
      expect(written.filter((one) => one)).toHaveLength(1);
      expect(await read("conditional/race")).toEqual(contents[written.indexOf(true)]);
    });

    test("an object of putMany counts for a conditional put, and can be replaced", async () => {
      await store.putMany([new Map([["many/then-put", utf8("same")]])]);
      expect(await store.put("many/then-put", utf8("same"), { ifAbsent: true })).toBe(false);
      expect(await store.put("many/then-put", utf8("other"))).toBe(true);
      expect(await read("many/then-put")).toEqual(utf8("other"));
    });

    test("stores many objects in groups", async () => {
      const groups = ["first", "second", "third"].map(
        (group) => new Map(Array.from({ length: 40 }, (_, i) => [`many/${group}/${i}`, utf8(`${group} ${i}`)])),
      );
      await store.putMany(groups);
      for (const group of groups)
        for (const [key, bytes] of group) {
          expect(await store.has(key)).toBe(true);
          expect(await read(key)).toEqual(bytes);
        }
      await store.putMany(groups);
      expect(await listed("many/second/")).toHaveLength(40);
      await store.putMany([]);
      await store.putMany([new Map(), new Map([["many/after-empty", new Uint8Array(0)]])]);
      expect(await read("many/after-empty")).toEqual(new Uint8Array(0));
    });

    test("the caller owns the bytes that it reads", async () => {
      await store.putMany([new Map([["owned/one", utf8("kept")]])]);
      await store.put("owned/two", utf8("kept"));
      for (const key of ["owned/one", "owned/two"]) {
        (await read(key))?.fill(0);
        expect(await read(key)).toEqual(utf8("kept"));
      }
    });

    test.each([
      [0, 4, "0123"],
      [3, 2, "34"],
      [8, 100, "89"],
      [7, Number.POSITIVE_INFINITY, "789"],
      [10, 1, ""],
      [99, 1, ""],
      [4, 0, ""],
    ])("reads a range: offset %d, length %d", async (offset, length, expected) => {
      await store.put("ranges/put", utf8("0123456789"));
      await store.putMany([new Map([["ranges/many", utf8("0123456789")]])]);
      expect(await read("ranges/put", { offset, length })).toEqual(utf8(expected));
      expect(await read("ranges/many", { offset, length })).toEqual(utf8(expected));
    });

    test("refuses ranges that are none", async () => {
      await store.put("ranges/one", utf8("0123456789"));
      for (const range of [
        { offset: -1, length: 1 },
        { offset: 0.5, length: 1 },
        { offset: 0, length: -1 },
        { offset: 0, length: Number.NaN },
      ])
        await expect(read("ranges/one", range)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    });

    test("refuses objects above the limit, but reads a part of them", async () => {
      await store.put("limits/put", new Uint8Array(1000).fill(7));
      await store.putMany([new Map([["limits/many", new Uint8Array(1000).fill(7)]])]);
      for (const key of ["limits/put", "limits/many"]) {
        expect(await store.get(key, { limit: 1000 })).toHaveLength(1000);
        await expect(store.get(key, { limit: 999 })).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
        expect(await store.get(key, { limit: 10, range: { offset: 5, length: 10 } })).toEqual(new Uint8Array(10).fill(7));
      }
    });

    test("lists keys by prefix, in order, with sizes", async () => {
      const sizes = { "a-b/x": 1, "a/x": 2, "a/y/deep/er": 3, "a/y.z": 4, a0: 5, b: 6, "B/x": 7 };
      const entries = Object.entries(sizes).map(([key, size]) => [`list/${key}`, new Uint8Array(size)] as const);
      await store.putMany([new Map(entries.slice(0, 3))]);
      for (const [key, bytes] of entries.slice(3)) await store.put(key, bytes);
      // In the order of ASCII: capitals first, and `-`, `.`, `/` and digits before letters.
      const order = ["B/x", "a-b/x", "a/x", "a/y.z", "a/y/deep/er", "a0", "b"] as const;
      const expected = order.map((key) => ({ key: `list/${key}`, size: sizes[key] }));
      expect(await listed("list/")).toEqual(expected);
      expect(await listed("list/a")).toEqual(expected.slice(1, 6));
      expect(await listed("list/a/")).toEqual(expected.slice(2, 5));
      expect(await listed("list/a/y")).toEqual(expected.slice(3, 5));
      expect(await listed("list/a/y/de")).toEqual(expected.slice(4, 5));
      expect(await listed("list/b")).toEqual(expected.slice(6));
      expect(await listed("list/c")).toEqual([]);
      expect((await listed("")).filter(({ key }) => key.startsWith("list/"))).toEqual(expected);
      expect(await listed("../")).toEqual([]);
    });

    test.each(["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", ".hidden", "a\\b", "a b", "ä", "a\0", "x".repeat(1025)])(
      "refuses the key %j",
      async (key) => {
        const refusal = { name: "StoreError", code: "invalid" };
        await expect(read(key)).rejects.toMatchObject(refusal);
        await expect(store.has(key)).rejects.toMatchObject(refusal);
        await expect(store.put(key, utf8("x"))).rejects.toMatchObject(refusal);
        await expect(store.put(key, utf8("x"), { ifAbsent: true })).rejects.toMatchObject(refusal);
        await expect(store.putMany([new Map([[key, utf8("x")]])])).rejects.toMatchObject(refusal);
      },
    );

    test("a signal that was given rejects with its reason", async () => {
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      await store.put("aborted/there", utf8("x"));
      await expect(store.get("aborted/there", { limit: LIMIT, signal })).rejects.toBe(reason);
      await expect(store.has("aborted/there", { signal })).rejects.toBe(reason);
      await expect(store.put("aborted/new", utf8("x"), { signal })).rejects.toBe(reason);
      await expect(store.put("aborted/new", utf8("x"), { ifAbsent: true, signal })).rejects.toBe(reason);
      await expect(store.putMany([new Map([["aborted/new", utf8("x")]])], { signal })).rejects.toBe(reason);
      const list = async (): Promise<void> => {
        for await (const _ of store.list("aborted/", { signal }));
      };
      await expect(list()).rejects.toBe(reason);
      expect(await store.has("aborted/new")).toBe(false);
    });
  });
}
