import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { LmdbEnvironment } from "../../../src/node/lmdb.ts";
import { ObjectJournal } from "../../../src/node/objects/object-journal.ts";

let root: string;
let environment: LmdbEnvironment;
let journal: ObjectJournal;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-object-journal-"));
  environment = await LmdbEnvironment.open(join(root, "store.lmdb"));
  journal = open();
});
afterEach(async () => {
  await environment.close();
  await rm(root, { recursive: true, force: true });
});

/** Opens the journal. In its order, `z/` precedes `a/`. */
function open(): ObjectJournal {
  return new ObjectJournal(environment, ["z/", "a/"]);
}

const objects = (...keys: string[]) => new Map(keys.map((key) => [key, utf8(key)]));
const keysOf = (some: ReadonlyMap<string, Uint8Array>) => [...some.keys()];

test("has the objects that were added, and counts them, also after it is opened again", async () => {
  expect([journal.count, journal.bytes, journal.has("z/1"), journal.get("z/1")]).toEqual([0, 0, false, undefined]);
  await journal.add([objects("a/10"), objects("z/1", "z/2"), new Map()]);
  await journal.add([]);
  for (const one of [journal, open()]) {
    expect([one.count, one.bytes]).toEqual([3, 10]);
    expect(["z/1", "z/3", "z/", "a/10"].map((key) => one.has(key))).toEqual([true, false, false, true]);
    expect(one.get("a/10")).toEqual(utf8("a/10"));
    expect(one.get("a/1")).toBeUndefined();
  }
});

test("forgets removed objects", async () => {
  await journal.add([objects("z/1", "z/2", "a/10")]);
  await journal.remove(objects("z/1", "a/10"));
  for (const one of [journal, open()]) {
    expect([one.count, one.bytes, one.has("z/1"), one.has("z/2")]).toEqual([1, 3, false, true]);
  }
  await journal.remove(objects("z/2"));
  expect([journal.count, journal.bytes, journal.has("z/2"), journal.get("z/2")]).toEqual([0, 0, false, undefined]);
});

test("an empty object counts as an object", async () => {
  await journal.add([new Map([["a/empty", new Uint8Array(0)]])]);
  expect([journal.count, journal.bytes, journal.has("a/empty")]).toEqual([1, 0, true]);
  expect(journal.get("a/empty")).toEqual(new Uint8Array(0));
});

test("the caller owns the bytes that it reads", async () => {
  await journal.add([objects("a/1", "a/2")]);
  const [read, [first] = []] = [journal.get("a/1"), [...journal.some(1, 1).values()]];
  journal.get("a/2");
  read?.fill(0);
  expect(first).toEqual(utf8("a/1"));
  expect(journal.get("a/1")).toEqual(utf8("a/1"));
});

test("tells the sizes of the objects under a prefix", async () => {
  await journal.add([objects("a/1", "a/22", "a/3/4", "z/5")]);
  expect(journal.sizes("a/")).toEqual(
    new Map([
      ["a/1", 3],
      ["a/22", 4],
      ["a/3/4", 5],
    ]),
  );
  expect(journal.sizes("a/2")).toEqual(new Map([["a/22", 4]]));
  expect(journal.sizes("b/").size).toBe(0);
  expect(journal.sizes("").size).toBe(4);
});

describe("some objects", () => {
  beforeEach(() => journal.add([objects("a/1", "a/2"), objects("z/1", "z/2", "z/3")]));

  test("are the first ones in the order, and only of one kind", async () => {
    expect(keysOf(journal.some(100, 100))).toEqual(["z/1", "z/2", "z/3"]);
    await journal.remove(objects("z/1", "z/2", "z/3"));
    expect(keysOf(journal.some(100, 100))).toEqual(["a/1", "a/2"]);
    await journal.remove(objects("a/1", "a/2"));
    expect(journal.some(100, 100).size).toBe(0);
  });

  test.each([
    [1, 100, 1],
    [2, 100, 2],
    [3, 100, 3],
    [100, 1, 1],
    [100, 3, 1],
    [100, 4, 2],
    [100, 6, 2],
    [100, 7, 3],
  ])("of at most %d, which end once they have %d bytes, are %d", (maxCount, maxBytes, expected) => {
    expect(journal.some(maxCount, maxBytes).size).toBe(expected);
  });
});

test("refuses an object that its order doesn't list, and adds nothing", async () => {
  await expect(journal.add([objects("a/1"), objects("b/1")])).rejects.toMatchObject({ name: "StoreError", code: "internal" });
  expect([journal.count, journal.has("a/1")]).toEqual([0, false]);
  expect(open().count).toBe(0);
});
