import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { FileObjectStore } from "../../../src/node/objects/file-object-store.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-file-objects-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function keys(store: FileObjectStore, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
}

test("the key of an object is the path of its file", async () => {
  const store = await FileObjectStore.open(root);
  await store.put("a/b/c", utf8("one"));
  await store.put("a/b/d", utf8("two"), { ifAbsent: true });
  await store.putMany([new Map([["a/e", utf8("three")]]), new Map([["f", new Uint8Array(0)]])]);
  expect(await readFile(join(root, "a/b/c"), "utf8")).toBe("one");
  expect(await readFile(join(root, "a/b/d"), "utf8")).toBe("two");
  expect(await readFile(join(root, "a/e"), "utf8")).toBe("three");
  expect(await readFile(join(root, "f"), "utf8")).toBe("");
  expect(await readdir(join(root, "tmp"))).toEqual([]);
});

test("temporary files are no objects", async () => {
  const store = await FileObjectStore.open(root);
  await writeFile(join(root, "tmp/being-written"), "x");
  await store.put("tmp-like", utf8("x"));
  expect(await keys(store)).toEqual(["tmp-like"]);
  expect(await keys(store, "t")).toEqual(["tmp-like"]);
  const refusal = { name: "StoreError", code: "invalid" };
  await expect(store.get("tmp/being-written", { limit: 10 })).rejects.toMatchObject(refusal);
  await expect(store.has("tmp/being-written")).rejects.toMatchObject(refusal);
  await expect(store.put("tmp/x", utf8("x"))).rejects.toMatchObject(refusal);
  await expect(store.putMany([new Map([["tmp/x", utf8("x")]])])).rejects.toMatchObject(refusal);
});

test("lists only files whose paths are keys", async () => {
  const store = await FileObjectStore.open(root);
  await store.put("dir/object", utf8("x"));
  await mkdir(join(root, "empty/directory"), { recursive: true });
  await mkdir(join(root, ".hidden"));
  for (const name of ["with blank", ".dot", "ä", ".hidden/file"]) await writeFile(join(root, name), "");
  await symlink("nowhere", join(root, "dangling"));
  expect(await keys(store)).toEqual(["dir/object"]);
});

test("a directory is no object, and no file is a directory of objects", async () => {
  const store = await FileObjectStore.open(root);
  await store.put("a/b", utf8("x"));
  for (const key of ["a", "a/b/c", "a/c"]) {
    expect(await store.get(key, { limit: 10 })).toBeUndefined();
    expect(await store.has(key)).toBe(false);
  }
  expect(await keys(store, "a/b/")).toEqual([]);
  expect(await keys(store, "a/../")).toEqual([]);
  await expect(store.put("a/b/c", utf8("x"))).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
  await expect(store.put("a", utf8("x"))).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
});

test("a file that can't be read is an error that names it", async () => {
  const store = await FileObjectStore.open(root);
  await symlink("loop", join(root, "loop"));
  const failure = { name: "StoreError", code: "invalid", message: expect.stringContaining("loop") };
  await expect(store.get("loop", { limit: 10 })).rejects.toMatchObject(failure);
  await expect(store.has("loop")).rejects.toMatchObject(failure);
  await expect(keys(store)).rejects.toMatchObject(failure);
});

test("removes temporary files of an earlier process, but not those of a running one", async () => {
  const day = 24 * 60 * 60;
  await FileObjectStore.open(root);
  const now = Date.now() / 1000;
  for (const [name, age] of [
    ["old", day + 60],
    ["new", day - 60],
  ] as const) {
    await writeFile(join(root, "tmp", name), "");
    await utimes(join(root, "tmp", name), now - age, now - age);
  }
  await FileObjectStore.open(root);
  expect(await readdir(join(root, "tmp"))).toEqual(["new"]);
  await FileObjectStore.open(root, { exclusive: true });
  expect(await readdir(join(root, "tmp"))).toEqual([]);
});

test("reports a directory that can't be read", async () => {
  await writeFile(join(root, "file"), "");
  await expect(FileObjectStore.open(join(root, "file"))).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
});
