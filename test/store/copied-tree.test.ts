import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { type Directory, type DirectorySizeRule, makeDirectory, SIZE_RULES } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { DirectoryNode, Node } from "../../src/castore/node.ts";
import { CopiedTree, requireSizeRules } from "../../src/store/copied-tree.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { failure } from "./fixtures.ts";

const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const LINK: Node = { kind: "symlink", target: utf8("x") };

/** A tree, leaves first. Except for the leaf, the size rules give its directories other digests. */
function tree(rule: DirectorySizeRule): [leaf: Directory, middle: Directory, root: Directory] {
  const leaf = directory({ a: LINK, b: LINK });
  const middle = directory({ "1": directoryNode(leaf, rule), "2": directoryNode(leaf, rule) });
  return [leaf, middle, directory({ again: directoryNode(leaf, rule), link: LINK, middle: directoryNode(middle, rule) })];
}

let store: LocalStoreServices;
beforeEach(() => {
  store = createMemoryStore();
});

async function open(rule: DirectorySizeRule, signal?: AbortSignal): Promise<CopiedTree> {
  await store.directories.put(tree(rule));
  return new CopiedTree(store, directoryNode(tree(rule)[2], rule), signal);
}

async function all(copied: CopiedTree): Promise<Directory[]> {
  const found: Directory[] = [];
  for await (const one of copied.leavesFirst()) found.push(one);
  return found;
}

describe.each(SIZE_RULES)("a tree by the rule %s", (rule) => {
  test("tells its rule, and comes as it is, leaves first, each directory once", async () => {
    const copied = await open(rule);
    expect(await copied.rules()).toEqual([rule]);
    expect(copied.isEncodedAnew).toBe(false);
    expect(await all(copied)).toEqual(tree(rule));
    expect(copied.target(copied.root)).toBe(copied.root);
    expect(await copied.read(copied.root.digest)).toEqual(tree(rule)[2]);
  });

  test.each(SIZE_RULES)("is encoded anew by the rule %s", async (other) => {
    const copied = await open(rule);
    await copied.encodeBy(other);
    expect(copied.isEncodedAnew).toBe(true);
    expect(await all(copied)).toEqual(tree(other));
    expect(await all(copied)).toEqual(tree(other));
    const from = tree(rule);
    for (const [i, one] of tree(other).entries())
      expect(copied.target(directoryNode(from[i] as Directory, rule))).toEqual(directoryNode(one, other));
    // `read` still returns the directories of the source.
    expect(await copied.read(copied.root.digest)).toEqual(from[2]);
  });
});

test("an empty root follows both rules", async () => {
  const root = directory({});
  await store.directories.put([root]);
  expect(await new CopiedTree(store, directoryNode(root, "documented"), undefined).rules()).toEqual(SIZE_RULES);
});

test("a node whose size is wrong by each rule is corrupt", async () => {
  const [leaf] = tree("documented");
  const node = directoryNode(leaf, "documented");
  const wrong: DirectoryNode = { ...node, size: 3n };
  await store.directories.put([leaf]);
  expect(await failure(new CopiedTree(store, wrong, undefined).rules())).toMatchObject({ name: "StoreError", code: "corrupt" });
  expect(() => requireSizeRules(leaf, wrong)).toThrow(expect.objectContaining({ code: "corrupt" }));
  expect(requireSizeRules(leaf, node)).toEqual(["documented"]);
  expect(requireSizeRules(leaf, { ...node, size: 4n })).toEqual(["doubled"]);
});

test("a missing directory is not-found", async () => {
  const [leaf, middle] = tree("documented");
  const copied = new CopiedTree(store, directoryNode(middle, "documented"), undefined);
  expect(await failure(copied.read(copied.root.digest))).toMatchObject({ code: "not-found" });
  expect(await failure(copied.encodeBy("doubled"))).toMatchObject({ code: "not-found" });
  // A directory that is not encoded yet has no target.
  expect(() => copied.target(directoryNode(leaf, "documented"))).toThrow(expect.objectContaining({ code: "internal" }));
});

test("an abort ends the walk with its reason", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const copied = await open("documented", controller.signal);
  const found: Directory[] = [];
  const reading = (async () => {
    for await (const one of copied.leavesFirst()) {
      found.push(one);
      controller.abort(reason);
    }
  })();
  expect(await failure(reading)).toBe(reason);
  expect(found).toHaveLength(1);
});

test("closing ends the stream of directories", async () => {
  let returned = 0;
  const root = tree("documented")[2];
  store.directories.getClosure = async () => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: root }),
      return: async () => {
        returned++;
        throw new Error("it was closed");
      },
    }),
  });
  const copied = new CopiedTree(store, directoryNode(root, "documented"), undefined);
  await copied.read(copied.root.digest);
  copied.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(returned).toBe(1);
});
