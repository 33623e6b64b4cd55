import { beforeEach, describe, expect, test } from "vitest";
import { MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { type Digest, digestKey, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory, SIZE_RULES } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import type { Node } from "../../src/castore/node.ts";

const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const to = (child: Directory): Node => directoryNode(child, "documented");
const LEAF = directory({ leaf: { kind: "symlink", target: utf8("x") } });
const MIDDLE = directory({ a: to(LEAF), b: to(LEAF) });
const ROOT = directory({ leaf: to(LEAF), middle: to(MIDDLE) });
const leaves = (count: number): Directory[] =>
  Array.from({ length: count }, (_, i) => directory({ [`leaf ${i}`]: { kind: "symlink", target: utf8("x") } }));

/** Keeps the batches that are read and written. */
class Store extends MemoryDirectoryStore {
  readonly reads: Digest[][] = [];
  readonly writes: Digest[][] = [];
  override async getMany(digests: readonly Digest[]) {
    this.reads.push([...digests]);
    return super.getMany(digests);
  }
  override async putMany(directories: readonly { digest: Digest; bytes: Uint8Array }[]) {
    this.writes.push(directories.map(({ digest }) => digest));
    await super.putMany(directories);
  }
  damage(one: Directory, bytes: Uint8Array): void {
    this.directories.set(digestKey(directoryDigest(one)), bytes);
  }
}

let store: Store;
let service: StoredDirectoryService;
beforeEach(() => {
  store = new Store();
  service = new StoredDirectoryService(store);
});

async function closure(root: Directory): Promise<Directory[] | undefined> {
  const found = await service.getClosure(directoryDigest(root));
  if (!found) return undefined;
  const all: Directory[] = [];
  for await (const one of found) all.push(one);
  return all;
}

describe("a closure", () => {
  test("comes out root first, each directory once", async () => {
    expect(await service.put([LEAF, MIDDLE, ROOT])).toEqual(directoryDigest(ROOT));
    expect(await closure(ROOT)).toEqual([ROOT, LEAF, MIDDLE]);
    expect(store.reads.map(({ length }) => length)).toEqual([1, 2]);
    expect(await closure(LEAF)).toEqual([LEAF]);
  });

  test("is undefined without its root", async () => {
    await service.put([LEAF]);
    expect(await closure(MIDDLE)).toBeUndefined();
    expect(await service.get(directoryDigest(MIDDLE))).toBeUndefined();
  });

  test("that lacks a directory ends with not-found", async () => {
    await service.put([LEAF, MIDDLE, ROOT]);
    store.directories.delete(digestKey(directoryDigest(LEAF)));
    await expect(closure(ROOT)).rejects.toMatchObject({ name: "StoreError", code: "not-found" });
  });

  test("may have the empty directory, which no store needs to have", async () => {
    const root = directory({ empty: to({ entries: [] }) });
    await service.put([{ entries: [] }, root]);
    store.directories.delete(digestKey(EMPTY_DIGEST));
    expect(await closure(root)).toEqual([root, { entries: [] }]);
    expect(await service.get(EMPTY_DIGEST)).toEqual({ entries: [] });
  });

  test("is read in batches of 256, and written in batches of 1024 or 4 MiB", async () => {
    const many = leaves(1025);
    const root = directory(Object.fromEntries(many.map((one, i) => [`${i}`, to(one)])));
    await service.put([...many, root]);
    expect(store.writes.map(({ length }) => length)).toEqual([1024, 2]);
    expect(store.writes[1]?.[1]).toEqual(directoryDigest(root));
    expect(await closure(root)).toHaveLength(1026);
    expect(store.reads.map(({ length }) => length)).toEqual([1, 256, 256, 256, 256, 1]);
    store.writes.length = 0;
    const target = new Uint8Array(4000).fill(120);
    const large = Array.from({ length: 9 }, (_, i) =>
      directory(Object.fromEntries(Array.from({ length: 250 }, (_, j) => [`${i}-${j}`, { kind: "symlink", target } as const]))),
    );
    await service.put([...large, directory(Object.fromEntries(large.map((one, i) => [`${i}`, to(one)])))]);
    expect(store.writes.map(({ length }) => length)).toEqual([5, 5]);
  });
});

describe("a write", () => {
  test("skips what came before", async () => {
    await service.put([LEAF, LEAF, MIDDLE, LEAF, ROOT]);
    expect(store.writes).toEqual([[LEAF, MIDDLE, ROOT].map(directoryDigest)]);
  });

  test("of a broken closure writes no root", async () => {
    await expect(service.put([LEAF, ROOT])).rejects.toMatchObject({ code: "invalid" });
    await expect(service.put([LEAF, MIDDLE, LEAF])).rejects.toMatchObject({ code: "invalid" });
    await expect(service.put([])).rejects.toMatchObject({ code: "invalid" });
    expect(store.writes).toEqual([]);
    // After a full batch, the directories beneath the root are there, and the root is not.
    const many = leaves(1024);
    const source = async function* (): AsyncGenerator<Directory> {
      yield* many;
      yield LEAF;
      yield ROOT;
    };
    await expect(service.put(source())).rejects.toMatchObject({ code: "invalid" });
    expect(store.writes).toEqual([many.map(directoryDigest)]);
  });
});

describe("an abort", () => {
  const reason = new Error("enough");

  test("before a call ends it with its reason", async () => {
    await service.put([LEAF]);
    store.writes.length = 0;
    const signal = AbortSignal.abort(reason);
    await expect(service.get(directoryDigest(LEAF), { signal })).rejects.toBe(reason);
    await expect(service.getClosure(directoryDigest(LEAF), { signal })).rejects.toBe(reason);
    await expect(service.put([LEAF], { signal })).rejects.toBe(reason);
    expect([store.reads, store.writes]).toEqual([[], []]);
  });

  test("after the last directory writes nothing", async () => {
    const controller = new AbortController();
    const source = function* (): Generator<Directory> {
      yield LEAF;
      controller.abort(reason);
    };
    await expect(service.put(source(), { signal: controller.signal })).rejects.toBe(reason);
    expect(store.writes).toEqual([]);
  });

  test("between directories ends the write and the walk", async () => {
    const controller = new AbortController();
    let asked = 0;
    const source = function* (): Generator<Directory> {
      asked++;
      controller.abort(reason);
      yield LEAF;
      asked++;
    };
    await expect(service.put(source(), { signal: controller.signal })).rejects.toBe(reason);
    expect(asked).toBe(1);

    await service.put([LEAF, MIDDLE]);
    const walk = new AbortController();
    const found = await service.getClosure(directoryDigest(MIDDLE), { signal: walk.signal });
    store.reads.length = 0;
    const all = async (): Promise<void> => {
      for await (const _ of found ?? []) walk.abort(reason);
    };
    await expect(all()).rejects.toBe(reason);
    expect(store.reads).toEqual([]);
  });
});

describe("a stored directory that is damaged", () => {
  test("is refused if its bytes don't match its digest", async () => {
    await service.put([LEAF, MIDDLE]);
    store.damage(LEAF, encodeDirectory(MIDDLE));
    await expect(service.get(directoryDigest(LEAF))).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
    await expect(closure(MIDDLE)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("is refused if it breaks a rule, with the reason", async () => {
    const bytes = Uint8Array.of(0x0a, 0x00);
    const digest = digestOf(bytes);
    store.directories.set(digestKey(digest), bytes);
    await expect(service.get(digest)).rejects.toMatchObject({
      code: "corrupt",
      cause: expect.objectContaining({ code: "invalid" }),
    });
  });
});

test("accepts trees of either size rule", async () => {
  expect(await service.sizeRules()).toEqual(SIZE_RULES);
});
