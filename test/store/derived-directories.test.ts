import { beforeEach, describe, expect, test } from "vitest";
import { MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { type Directory, makeDirectory, SIZE_RULES } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import type { Node } from "../../src/castore/node.ts";
import { StoreError } from "../../src/error.ts";
import { DerivedDirectories } from "../../src/store/derived-directories.ts";

const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const to = (child: Directory): Node => directoryNode(child, "doubled");
const leaf = (name: string): Directory => directory({ [name]: { kind: "symlink", target: utf8("x") } });
const SHARED = leaf("shared");
/** A tree of two directories, one of which is in all trees. All trees have the same size. */
const tree = (name: string): Directory[] => [SHARED, directory({ [name]: to(SHARED) })];
const rootOf = (closure: readonly Directory[]): Directory => closure.at(-1) as Directory;
/** Bytes that a directory takes in memory. */
const cost = (one: Directory): number => encodeDirectory(one).length + 300;
const costOf = (closure: readonly Directory[]): number => closure.reduce((sum, one) => sum + cost(one), 0);

let backing: MemoryDirectoryStore;
let store: StoredDirectoryService;
beforeEach(() => {
  backing = new MemoryDirectoryStore();
  store = new StoredDirectoryService(backing);
});

const inMemory = (limit?: number): DerivedDirectories => new DerivedDirectories(store, { inMemory: true, limit });
const keep = (to: DerivedDirectories, closure: readonly Directory[]): Promise<boolean> =>
  to.keep(
    (async function* () {
      yield* closure;
    })(),
  );
const kept = async (by: DerivedDirectories, ...closures: Directory[][]): Promise<boolean[]> =>
  Promise.all(closures.map(async (closure) => (await by.get(directoryDigest(rootOf(closure)))) !== undefined));

async function closureOf(by: DerivedDirectories, root: Directory): Promise<Directory[]> {
  const all: Directory[] = [];
  for await (const one of (await by.getClosure(directoryDigest(root))) ?? []) all.push(one);
  return all;
}

describe("in a store that accepts writes", () => {
  test("derived trees are stored, and read from the store", async () => {
    const derived = new DerivedDirectories(store);
    expect(await keep(derived, tree("a"))).toBe(true);
    expect(backing.directories.size).toBe(2);
    expect(await closureOf(derived, rootOf(tree("a")))).toEqual([...tree("a")].reverse());
  });

  test("a tree of a rule that the store refuses is not to be kept", async () => {
    const narrow = Object.assign(new StoredDirectoryService(backing), { sizeRules: async () => ["documented"] as const });
    const derived = new DerivedDirectories(narrow);
    expect([await derived.keepsRule("documented"), await derived.keepsRule("doubled")]).toEqual([true, false]);
    expect(await new DerivedDirectories(narrow, { inMemory: true }).keepsRule("doubled")).toBe(true);
  });

  test.each([
    ["a StoreError comes out as it is", new StoreError("quota", "full"), { code: "quota" }],
    ["another error becomes internal", new Error("the disk is broken"), { code: "internal", cause: expect.any(Error) }],
  ])("%s", async (_, error, expected) => {
    const broken = Object.assign(new StoredDirectoryService(backing), { put: () => Promise.reject(error) });
    await expect(keep(new DerivedDirectories(broken), tree("a"))).rejects.toMatchObject({ name: "StoreError", ...expected });
  });
});

describe("in memory", () => {
  test("derived trees are kept beside those of the store, and nothing is written", async () => {
    await store.put(tree("stored"));
    const before = backing.directories.size;
    const derived = inMemory();
    expect(await keep(derived, tree("a"))).toBe(true);
    expect(await kept(derived, tree("a"), tree("stored"), tree("none"))).toEqual([true, true, false]);
    expect(await closureOf(derived, rootOf(tree("a")))).toEqual([...tree("a")].reverse());
    expect(backing.directories.size).toBe(before);
    expect(await derived.sizeRules()).toEqual(SIZE_RULES);
    // Trees that clients put go to the store.
    await derived.put(tree("put"));
    expect(backing.directories.size).toBe(before + 1);
  });

  test("a tree may take exactly the limit, and is refused beyond it", async () => {
    const limit = costOf(tree("a"));
    const exact = inMemory(limit);
    expect(await keep(exact, tree("a"))).toBe(true);
    expect(await kept(exact, tree("a"))).toEqual([true]);
    const less = inMemory(limit - 1);
    expect(await keep(less, tree("a"))).toBe(false);
    expect(await kept(less, tree("a"))).toEqual([false]);
  });

  test("a directory that comes twice counts once", async () => {
    const twice = [SHARED, SHARED, rootOf(tree("a"))];
    const derived = inMemory(costOf(tree("a")));
    expect(await keep(derived, twice)).toBe(true);
    expect(await closureOf(derived, rootOf(twice))).toHaveLength(2);
  });

  test("reading the directories stops at the limit", async () => {
    let read = 0;
    const endless = async function* (): AsyncGenerator<Directory> {
      for (;;) yield leaf(`${read++}`);
    };
    expect(await inMemory(5000).keep(endless())).toBe(false);
    expect(read).toBeLessThan(20);
  });

  test("the least recently used trees are evicted, and what other trees share stays", async () => {
    // Two trees with one shared directory.
    const derived = inMemory(costOf(tree("a")) + cost(rootOf(tree("b"))));
    for (const name of ["a", "b"]) expect(await keep(derived, tree(name))).toBe(true);
    expect(await kept(derived, tree("a"), tree("b"))).toEqual([true, true]);
    // `a` was read last, so `b` is evicted.
    await closureOf(derived, rootOf(tree("a")));
    expect(await keep(derived, tree("c"))).toBe(true);
    expect(await kept(derived, tree("b"), tree("c"), tree("a"))).toEqual([false, true, true]);
    expect(await closureOf(derived, rootOf(tree("a")))).toHaveLength(2);
    expect(await closureOf(derived, rootOf(tree("c")))).toHaveLength(2);
  });

  test("a tree that is kept again counts once", async () => {
    const derived = inMemory(costOf(tree("a")) + cost(rootOf(tree("b"))));
    await keep(derived, tree("b"));
    for (let i = 0; i < 5; i++) expect(await keep(derived, tree("a"))).toBe(true);
    expect(await kept(derived, tree("a"), tree("b"))).toEqual([true, true]);
    // If it counted each time, its directories would stay after it is evicted.
    await keep(derived, tree("c"));
    await keep(derived, tree("d"));
    expect(await kept(derived, tree("a"), tree("b"), tree("c"), tree("d"))).toEqual([false, false, true, true]);
  });

  test("a tree without anything shared leaves nothing when it is evicted", async () => {
    const [one, other] = [[leaf("one")], [leaf("two")]];
    const derived = inMemory(costOf(one));
    await keep(derived, one);
    await keep(derived, other);
    expect(await kept(derived, one, other)).toEqual([false, true]);
    expect(await kept(derived, [SHARED])).toEqual([false]);
  });
});
