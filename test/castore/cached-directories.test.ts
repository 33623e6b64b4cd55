import { beforeEach, expect, test } from "vitest";
import { MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { type Digest, digestKey, digestOf } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { DirectoryService } from "../../src/castore/directory-service.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";

let store: MemoryDirectoryStore;
let directories: DirectoryService;
let cached: CachedDirectories;
/** Directories that the cache looked up, by `name`. */
let lookedUp: string[];

beforeEach(() => {
  store = new MemoryDirectoryStore();
  directories = new StoredDirectoryService(store);
  lookedUp = [];
  const { get } = directories;
  directories.get = (digest, options) => {
    lookedUp.push(digestKey(digest));
    return get.call(directories, digest, options);
  };
  cached = new CachedDirectories(directories);
});

/** Stores a directory with so many symlinks. */
async function add(name: string, entries = 1): Promise<{ directory: Directory; digest: Digest; key: string }> {
  const directory = makeDirectory(
    Array.from({ length: entries }, (_, i) => ({ name: utf8(`${name}${i}`), node: { kind: "symlink", target: utf8("x") } })),
  );
  await directories.put([directory]);
  const { digest } = directoryNode(directory, "documented");
  return { directory, digest, key: digestKey(digest) };
}

test("a directory is looked up once, until the cache is cleared", async () => {
  const { directory, digest, key } = await add("a");
  for (let i = 0; i < 3; i++) expect(await cached.get(digest)).toEqual(directory);
  expect(lookedUp).toEqual([key]);
  store.directories.clear();
  expect(await cached.get(digest)).toEqual(directory);
  cached.clear();
  expect(await cached.get(digest)).toBeUndefined();
  expect(lookedUp).toEqual([key, key]);
});

test("a missing directory is looked up each time", async () => {
  const missing = digestOf(utf8("missing"));
  for (let i = 0; i < 2; i++) expect(await cached.get(missing)).toBeUndefined();
  expect(lookedUp).toHaveLength(2);
});

test("an aborted call reads nothing, not even what is cached", async () => {
  const { digest, key } = await add("a");
  await cached.get(digest);
  const reason = new Error("enough");
  await expect(cached.get(digest, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const { signal } = new AbortController();
  expect(await cached.get(digest, { signal })).toBeDefined();
  expect(lookedUp).toEqual([key]);
});

test("up to 8192 entries are kept, and a directory counts as one more than it has", async () => {
  const [large, other, small] = [await add("a", 4000), await add("b", 4189), await add("c", 1)];
  await cached.get(large.digest);
  await cached.get(other.digest);
  await cached.get(large.digest);
  // 4001 and 4190 are one less than the limit.
  expect(lookedUp).toEqual([large.key, other.key]);
  await cached.get(small.digest);
  // The one that was read least recently had to go.
  await cached.get(large.digest);
  await cached.get(other.digest);
  expect(lookedUp).toEqual([large.key, other.key, small.key, other.key]);
});

test("trees, writes and size rules pass to the store", async () => {
  const directory = makeDirectory([]);
  const digest = await cached.put([directory]);
  expect(await directories.get(digest)).toEqual(directory);
  const closure: Directory[] = [];
  for await (const one of (await cached.getClosure(digest)) ?? []) closure.push(one);
  expect(closure).toEqual([directory]);
  expect(await cached.sizeRules()).toEqual(await directories.sizeRules());
});
