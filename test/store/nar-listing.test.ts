import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { listNar } from "../../src/nix/nar-listing.ts";
import { renderNar } from "../../src/store/nar.ts";
import { listNode } from "../../src/store/nar-listing.ts";
import { failure } from "./fixtures.ts";

const invalid = { name: "StoreError", code: "invalid" };
const LINK: Node = { kind: "symlink", target: utf8("t") };
const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const to = (child: Directory): Node => directoryNode(child, "documented");
const hugeFile = (size: bigint): Node => ({ kind: "file", digest: digestOf(utf8("x")), size, executable: false });

describe("a listing equals that of the rendered NAR", () => {
  test("for a leaf", async () => {
    const store = createMemoryStore();
    const [digest = digestOf(utf8("")), empty = digestOf(utf8(""))] = await store.blobs.putMany([utf8("hello"), utf8("")]);
    const nodes: Node[] = [
      LINK,
      { kind: "file", digest, size: 5n, executable: true },
      { kind: "file", digest: empty, size: 0n, executable: false },
    ];
    for (const node of nodes) expect(await listNode(store, node)).toEqual(await listNar(renderNar(store, node)));
  });

  test("for directories after and inside each other", async () => {
    const store = createMemoryStore();
    const [digest = digestOf(utf8(""))] = await store.blobs.putMany([utf8("hello")]);
    const file: Node = { kind: "file", digest, size: 5n, executable: false };
    const empty = directory({});
    const inner = directory({ "a name of 17 byte": file, b: to(empty) });
    const root = directory({ a: file, b: to(inner), c: LINK, d: to(inner), e: file });
    await store.directories.put([empty, inner, root]);
    for (const one of [empty, inner, root])
      expect(await listNode(store, to(one))).toEqual(await listNar(renderNar(store, to(one))));
  });
});

test("the entries of the tree are counted, each occurrence, up to the maximum", async () => {
  const store = createMemoryStore();
  const inner = directory({ a: LINK, b: LINK });
  const root = directory({ a: to(inner), b: to(inner), c: LINK });
  await store.directories.put([inner, root]);
  expect(await listNode(store, to(root), { maxEntries: 7 })).toMatchObject({ root: { type: "directory" } });
  expect(await failure(listNode(store, to(root), { maxEntries: 6 }))).toMatchObject(invalid);
});

test("a million entries are too many by default, if a few directories have them", async () => {
  const store = createMemoryStore();
  const wide = directory(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, LINK])));
  const root = directory(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, to(wide)])));
  await store.directories.put([wide, root]);
  expect(await failure(listNode(store, to(root)))).toMatchObject(invalid);
});

test("sizes of 2^53 bytes and more are refused, of one file and of files together", async () => {
  const store = createMemoryStore();
  const two = directory({ a: hugeFile(2n ** 52n), b: hugeFile(2n ** 52n) });
  const one = directory({ a: hugeFile(2n ** 52n), b: LINK });
  await store.directories.put([two]);
  await store.directories.put([one]);
  expect(await failure(listNode(store, hugeFile(2n ** 53n)))).toMatchObject(invalid);
  expect(await failure(listNode(store, to(two)))).toMatchObject(invalid);
  expect(await listNode(store, to(one))).toMatchObject({ root: { entries: [{}, {}] } });
});

test("closes the stream of directories, also after a failure", async () => {
  const store = createMemoryStore();
  const inner = directory({ a: LINK });
  const root = directory({ a: to(inner), b: LINK });
  let returned = 0;
  const { directories } = store;
  const watched = {
    directories: {
      get: (...args: Parameters<typeof directories.get>) => directories.get(...args),
      put: (...args: Parameters<typeof directories.put>) => directories.put(...args),
      sizeRules: () => directories.sizeRules(),
      getClosure: async () => ({
        [Symbol.asyncIterator]: () => ({
          next: async () => ({ done: false as const, value: root }),
          return: async () => {
            returned++;
            return { done: true as const, value: undefined };
          },
        }),
      }),
    },
  };
  expect(await failure(listNode(watched, to(root), { maxEntries: 1 }))).toMatchObject(invalid);
  expect(returned).toBe(1);
});
