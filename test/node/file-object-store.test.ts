import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { FileObjectStore } from "../../src/node/objects/file-object-store.ts";

/** Error code with which the file system refuses hard links, if it does. */
const links = vi.hoisted(() => ({ code: "" }));
vi.mock("node:fs/promises", async (original) => {
  const actual = await original<typeof import("node:fs/promises")>();
  const link: typeof actual.link = async (...args) => {
    if (links.code !== "") throw Object.assign(new Error("no hard links"), { code: links.code });
    return actual.link(...args);
  };
  return { ...actual, link };
});

let root: string;
beforeEach(async () => {
  links.code = "";
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

test.each(["EPERM", "ENOTSUP"])("a conditional put works without hard links (%s)", async (code) => {
  links.code = code;
  const store = await FileObjectStore.open(root);
  expect(await store.put("a/b", utf8("first"), { ifAbsent: true })).toBe(true);
  expect(await store.put("a/b", utf8("second"), { ifAbsent: true })).toBe(false);
  expect(await readFile(join(root, "a/b"), "utf8")).toBe("first");
  expect(await readdir(join(root, "tmp"))).toEqual([]);
});

test("a conditional put that fails leaves no temporary file", async () => {
  links.code = "ENOSPC";
  const store = await FileObjectStore.open(root);
  await expect(store.put("a/b", utf8("x"), { ifAbsent: true })).rejects.toMatchObject({ code: "quota" });
  expect(await readdir(join(root, "tmp"))).toEqual([]);
  expect(await store.has("a/b")).toBe(false);
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

test("reports a directory that can't be read", async () => {
  await writeFile(join(root, "file"), "");
  await expect(FileObjectStore.open(join(root, "file"))).rejects.toMatchObject({ name: "StoreError" });
});
