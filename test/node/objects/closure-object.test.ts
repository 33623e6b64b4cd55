import { expect, test } from "vitest";
import { concatBytes, utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { joinDirectories, ReadClosure } from "../../../src/node/objects/closure-object.ts";
import { compressZstd } from "../../../src/node/zstd.ts";

const DIRECTORIES = ["root", "", "leaf"].map(utf8);
const ROOT = digestOf(utf8("root"));
const MISSING = digestOf(utf8("missing"));

test("each directory has its length before it, as a big-endian number of 32 bits", () => {
  const expected = [[0, 0, 0, 4], [...utf8("root")], [0, 0, 0, 0], [0, 0, 0, 4], [...utf8("leaf")]].flat();
  expect([...joinDirectories(DIRECTORIES)]).toEqual(expected);
  expect(joinDirectories([])).toHaveLength(0);
});

test("directories are found by digest, in the order of the keys", async () => {
  const closure = new ReadClosure(ROOT, compressZstd(joinDirectories(DIRECTORIES)));
  expect(closure.root).toEqual(ROOT);
  // The length of the object before compression, and 120 bytes for each directory.
  expect(closure.cost).toBe(20 + 3 * 120);
  const keys = [digestOf(utf8("leaf")), MISSING, ROOT, digestOf(utf8(""))];
  expect(await closure.asStore().getMany(keys)).toEqual([utf8("leaf"), undefined, utf8("root"), utf8("")]);
  expect(await closure.asStore().getMany([ROOT])).toEqual([utf8("root")]);
  expect(await closure.asStore().getMany([])).toEqual([]);
});

test("the directories can't be changed", async () => {
  const closure = new ReadClosure(ROOT, compressZstd(joinDirectories(DIRECTORIES)));
  await expect(closure.asStore().putMany([])).rejects.toMatchObject({ name: "StoreError", code: "internal" });
});

test.each<[string, Uint8Array]>([
  ["is empty", new Uint8Array(0)],
  ["has a part of a length", joinDirectories(DIRECTORIES).subarray(0, 3)],
  ["has a length and no directory", joinDirectories([utf8("root")]).subarray(0, 4)],
  ["ends within a directory", joinDirectories([utf8("root")]).subarray(0, 7)],
  ["has bytes after the last directory", concatBytes([joinDirectories([utf8("root")]), Uint8Array.of(0)])],
])("an object that %s is corrupt", (_, bytes) => {
  expect(() => new ReadClosure(ROOT, compressZstd(bytes))).toThrow(
    expect.objectContaining({ name: "StoreError", code: "corrupt" }),
  );
});
