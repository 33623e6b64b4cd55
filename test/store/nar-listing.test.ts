import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import type { CastoreServices } from "../../src/castore/services.ts";
import { listNar, narListingToJson } from "../../src/nix/nar-listing.ts";
import { renderNar } from "../../src/store/nar.ts";
import { type RenderListingOptions, renderNarListing } from "../../src/store/nar-listing.ts";
import { failure } from "./fixtures.ts";

const invalid = { name: "StoreError", code: "invalid" };
const LINK: Node = { kind: "symlink", target: utf8("t") };
const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const to = (child: Directory): Node => directoryNode(child, "documented");

async function listing(castore: Pick<CastoreServices, "directories">, node: Node, options?: RenderListingOptions): Promise<string> {
  let all = "";
  for await (const text of renderNarListing(castore, node, options)) all += text;
  return all;
}
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
    for (const node of nodes) expect(await listing(store, node)).toBe(narListingToJson(await listNar(renderNar(store, node))));
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
      expect(await listing(store, to(one))).toBe(narListingToJson(await listNar(renderNar(store, to(one)))));
  });
});

test("the entries of the tree are counted, each occurrence, up to the maximum", async () => {
  const store = createMemoryStore();
  const inner = directory({ a: LINK, b: LINK });
  const root = directory({ a: to(inner), b: to(inner), c: LINK });
  await store.directories.put([inner, root]);
  expect(JSON.parse(await listing(store, to(root), { maxEntries: 7 }))).toMatchObject({ root: { type: "directory" } });
  expect(await failure(listing(store, to(root), { maxEntries: 6 }))).toMatchObject(invalid);
});

test("a million entries are too many by default, if a few directories have them", async () => {
  const store = createMemoryStore();
  const wide = directory(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, LINK])));
  const root = directory(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, to(wide)])));
  await store.directories.put([wide, root]);
  expect(await failure(listing(store, to(root)))).toMatchObject(invalid);
});

test("sizes of 2^53 bytes and more are refused, of one file and of files together", async () => {
  const store = createMemoryStore();
  const two = directory({ a: hugeFile(2n ** 52n), b: hugeFile(2n ** 52n) });
  const one = directory({ a: hugeFile(2n ** 52n), b: LINK });
  await store.directories.put([two]);
  await store.directories.put([one]);
  expect(await failure(listing(store, hugeFile(2n ** 53n)))).toMatchObject(invalid);
  expect(await failure(listing(store, to(two)))).toMatchObject(invalid);
  expect(JSON.parse(await listing(store, to(one)))).toMatchObject({ root: { entries: { a: {}, b: {} } } });
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
  expect(await failure(listing(watched, to(root), { maxEntries: 1 }))).toMatchObject(invalid);
  expect(returned).toBe(1);
});

test("a long listing comes in pieces, and its name that is not UTF-8 is refused", async () => {
  const store = createMemoryStore();
  const long = directory(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}${"x".repeat(200)}`, LINK])));
  const odd = makeDirectory([{ name: Uint8Array.of(0xff), node: LINK }]);
  await store.directories.put([long]);
  await store.directories.put([odd]);
  const pieces: string[] = [];
  for await (const text of renderNarListing(store, to(long))) pieces.push(text);
  expect(pieces.length).toBeGreaterThan(2);
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(70_000);
  expect(pieces.join("")).toBe(narListingToJson(await listNar(renderNar(store, to(long)))));
  expect(await failure(listing(store, to(odd)))).toMatchObject(invalid);
});
