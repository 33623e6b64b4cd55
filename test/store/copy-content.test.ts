import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestKey, digestOf } from "../../src/castore/digest.ts";
import { type Directory, type DirectorySizeRule, makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import type { DirectoryNode, FileNode, Node } from "../../src/castore/node.ts";
import { type CopyContentOptions, copyContent } from "../../src/store/copy-content.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { failure } from "./fixtures.ts";

const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const file = (text: string): FileNode => ({
  kind: "file",
  digest: digestOf(utf8(text)),
  size: BigInt(text.length),
  executable: false,
});
const LINK: Node = { kind: "symlink", target: utf8("x") };
const to = (child: Directory, rule: DirectorySizeRule = "documented"): DirectoryNode => directoryNode(child, rule);
/** A directory of `count` files of one byte each. */
const wide = (count: number, start = 0): Directory =>
  directory(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`, file(String.fromCharCode(start + i))])));

let source: LocalStoreServices;
let target: LocalStoreServices;
/** Digests for which the target's `get` was called, and the number of its other calls. */
let asked: string[];
let puts: number;
let ruleCalls: number;
let order: string[];
beforeEach(() => {
  source = createMemoryStore();
  target = createMemoryStore();
  asked = [];
  puts = 0;
  ruleCalls = 0;
  order = [];
  const { directories, blobs } = target;
  const { get, put, sizeRules } = directories;
  directories.get = (digest, options) => {
    asked.push(digestKey(digest));
    return get.call(directories, digest, options);
  };
  directories.put = (closure, options) => {
    puts++;
    order.push("directories");
    return put.call(directories, closure, options);
  };
  directories.sizeRules = (options) => {
    ruleCalls++;
    return sizeRules.call(directories, options);
  };
  const { putMany } = blobs;
  blobs.putMany = (contents, options) => {
    order.push("blobs");
    return putMany.call(blobs, contents, options);
  };
});

const copy = (node: Node, options: Partial<CopyContentOptions> = {}) =>
  copyContent(source, target, node, { trustTarget: true, ...options });
/** Puts directories, leaves first, with all their files. */
async function fill(store: LocalStoreServices, closure: readonly Directory[], texts: readonly string[] = []): Promise<void> {
  await store.blobs.putMany(texts.map(utf8));
  if (closure.length > 0) await store.directories.put(closure);
  asked = [];
  order = [];
  puts = 0;
}
const key = (one: Directory): string => digestKey(directoryDigest(one));

describe("leaves", () => {
  test("a symlink is nothing to copy", async () => {
    expect(await copy(LINK)).toEqual({ node: LINK, objects: 0, bytes: 0 });
    expect([asked, ruleCalls]).toEqual([[], 0]);
  });

  test("a file is its blob", async () => {
    await fill(source, [], ["hello"]);
    expect(await copy(file("hello"))).toEqual({ node: file("hello"), objects: 1, bytes: 5 });
    expect(await copy(file("hello"))).toEqual({ node: file("hello"), objects: 0, bytes: 0 });
    expect([asked, puts]).toEqual([[], 0]);
  });
});

describe("a tree", () => {
  const leaf = directory({ f: file("leaf") });
  const root = directory({ a: file("a"), again: to(leaf), leaf: to(leaf), link: LINK });
  const texts = ["leaf", "a"];

  test("is copied as it is: blobs first, then directories, each once", async () => {
    await fill(source, [leaf, root], texts);
    expect(await copy(to(root))).toEqual({ node: to(root), objects: 4, bytes: 5 });
    expect(order).toEqual(["blobs", "directories"]);
    expect(await target.directories.get(directoryDigest(leaf))).toEqual(leaf);
    // The second time, the root is enough.
    asked = [];
    expect(await copy(to(root))).toEqual({ node: to(root), objects: 0, bytes: 0 });
    expect([asked, puts]).toEqual([[key(root)], 1]);
  });

  test("is copied as a whole if the target is not trusted to have what is beneath its directories", async () => {
    await fill(source, [leaf, root], texts);
    await fill(target, [leaf, root]);
    expect(await copy(to(root))).toMatchObject({ objects: 0 });
    expect(await copy(to(root), { trustTarget: false })).toEqual({ node: to(root), objects: 4, bytes: 5 });
    expect(asked).toEqual([key(root)]);
  });

  test.each<[string, (digest: Uint8Array) => boolean, string]>([
    ["root", () => true, "not-found"],
    ["directory beneath it", (digest) => digestKey(digest as never) === key(leaf), "not-found"],
  ])("whose %s is missing at the source is not-found, and no directory is put", async (_, isMissing, code) => {
    await fill(source, [leaf, root], texts);
    const { get } = source.directories;
    source.directories.getClosure = async () => undefined;
    source.directories.get = async (digest, options) =>
      isMissing(digest) ? undefined : get.call(source.directories, digest, options);
    expect(await failure(copy(to(root)))).toMatchObject({ name: "StoreError", code });
    expect(puts).toBe(0);
  });

  test("whose blob is missing at the source is not-found, and no directory is put", async () => {
    await fill(source, [leaf, root], ["a"]);
    expect(await failure(copy(to(root)))).toMatchObject({ code: "not-found" });
    expect(puts).toBe(0);
  });

  test("that the target stores under another digest is corrupt", async () => {
    await fill(source, [leaf, root], texts);
    target.directories.put = async () => directoryDigest(leaf);
    expect(await failure(copy(to(root)))).toMatchObject({ code: "corrupt" });
  });

  test("tells the bytes that the target has now", async () => {
    await fill(source, [leaf, root], texts);
    await fill(target, [], ["a"]);
    let told = 0;
    const onBytes = (bytes: number): void => {
      told += bytes;
    };
    expect(await copy(to(root), { onBytes })).toMatchObject({ objects: 3, bytes: 4 });
    // The leaf counts once, because the walk visits it once.
    expect(told).toBe(5);
  });
});

describe("directories beneath the root", () => {
  test.each([
    [15, false],
    [16, true],
  ])("with %d entries are asked for at the target: %s", async (entries, isAsked) => {
    const child = wide(entries);
    const root = directory({ child: to(child), link: LINK });
    const texts = Array.from({ length: entries }, (_, i) => String.fromCharCode(i));
    await fill(source, [child, root], texts);
    await fill(target, [child], texts);
    // What the target has is not counted: the directory, if it was asked for, and the blobs.
    expect(await copy(to(root))).toMatchObject({ objects: isAsked ? 1 : 2, bytes: 0 });
    expect(asked).toEqual(isAsked ? [key(root), key(child)] : [key(root)]);
  });

  test("are asked for sixteen at a time", async () => {
    const children = Array.from({ length: 17 }, (_, i) => wide(16, i));
    const root = directory(Object.fromEntries(children.map((child, i) => [`${i}`, to(child)])));
    await fill(
      source,
      [...children, root],
      Array.from({ length: 33 }, (_, i) => String.fromCharCode(i)),
    );
    let [now, most] = [0, 0];
    const { get } = target.directories;
    target.directories.get = async (...args) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 1));
      now--;
      return get.apply(target.directories, args);
    };
    expect(await copy(to(root))).toMatchObject({ objects: 18 + 32 });
    expect(most).toBe(16);
  });

  test("are not asked for if the target is not trusted", async () => {
    const child = wide(20);
    const root = directory({ child: to(child) });
    await fill(
      source,
      [child, root],
      Array.from({ length: 20 }, (_, i) => String.fromCharCode(i)),
    );
    await copy(to(root), { trustTarget: false });
    expect(asked).toEqual([]);
  });
});

describe("a target that takes another size rule", () => {
  const leaf = directory({ f: file("leaf") });
  const tree = (rule: DirectorySizeRule): Directory => directory({ leaf: to(leaf, rule) });

  test("gets the tree encoded anew, by the rule that was given or that it prefers", async () => {
    await fill(source, [leaf, tree("documented")], ["leaf"]);
    const doubled = to(tree("doubled"), "doubled");
    expect(await copy(to(tree("documented")), { sizeRule: "doubled" })).toEqual({ node: doubled, objects: 3, bytes: 4 });
    expect(ruleCalls).toBe(0);
    expect(await target.directories.get(doubled.digest)).toEqual(tree("doubled"));
    // The root by the other rule is another directory, so the target is asked for it.
    asked = [];
    expect(await copy(to(tree("documented")), { sizeRule: "doubled" })).toEqual({ node: doubled, objects: 0, bytes: 0 });
    expect(asked).toEqual([key(tree("documented")), digestKey(doubled.digest)]);
    target.directories.sizeRules = async () => ["doubled"];
    expect(await copy(to(tree("documented")))).toMatchObject({ node: doubled, objects: 0 });
  });

  test("has no node for a root of files alone until its size is by that rule", async () => {
    await fill(source, [leaf], ["leaf"]);
    await fill(target, [leaf], ["leaf"]);
    expect(await copy(to(leaf), { sizeRule: "documented" })).toEqual({ node: to(leaf), objects: 0, bytes: 0 });
    expect(await copy(to(leaf), { sizeRule: "doubled" })).toEqual({ node: to(leaf, "doubled"), objects: 0, bytes: 0 });
    expect(puts).toBe(0);
  });

  test("and says that it takes none keeps the tree", async () => {
    await fill(source, [leaf, tree("documented")], ["leaf"]);
    target.directories.sizeRules = async () => [];
    expect(await copy(to(tree("documented")))).toMatchObject({ node: to(tree("documented")) });
  });

  test.each([true, false])("gets no tree whose root has a wrong size (at the target: %s)", async (isThere) => {
    await fill(source, [leaf], ["leaf"]);
    if (isThere) await fill(target, [leaf], ["leaf"]);
    expect(await failure(copy({ ...to(leaf), size: 5n }))).toMatchObject({ name: "StoreError", code: "corrupt" });
    expect(puts).toBe(0);
  });
});

describe("an abort", () => {
  const reason = new Error("enough");
  const leaf = directory({ f: file("leaf") });
  const root = directory({ leaf: to(leaf) });

  test("rejects with its reason, whatever fails because of it", async () => {
    await fill(source, [leaf, root], ["leaf"]);
    const controller = new AbortController();
    source.blobs.readMany = () => {
      controller.abort(reason);
      return Promise.reject(new Error("the connection was closed"));
    };
    expect(await failure(copy(to(root), { signal: controller.signal }))).toBe(reason);
    expect(puts).toBe(0);
  });

  test("is passed on to each call", async () => {
    await fill(source, [leaf, root], ["leaf"]);
    const { signal } = new AbortController();
    const signals = new Set<AbortSignal | undefined>();
    const { put, get, sizeRules } = target.directories;
    target.directories.get = (digest, options) => {
      signals.add(options?.signal);
      return get.call(target.directories, digest, options);
    };
    target.directories.put = (closure, options) => {
      signals.add(options?.signal);
      return put.call(target.directories, closure, options);
    };
    target.directories.sizeRules = (options) => {
      signals.add(options?.signal);
      return sizeRules.call(target.directories, options);
    };
    await copy(to(root), { signal });
    expect([...signals]).toEqual([signal]);
  });
});

test("the stream of directories is closed at the end", async () => {
  const leaf = directory({ f: file("leaf") });
  const root = directory({ leaf: to(leaf) });
  await fill(source, [leaf, root], ["leaf"]);
  let returned = 0;
  source.directories.getClosure = async () => ({
    [Symbol.asyncIterator]: () => {
      const left = [root, leaf, leaf];
      return {
        next: async () => ({ done: false, value: left.shift() as Directory }),
        return: async () => {
          returned++;
          return { done: true, value: undefined };
        },
      };
    },
  });
  await copy(to(root));
  expect(returned).toBe(1);
});
