import { afterEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { type Digest, digestOf } from "../../src/castore/digest.ts";
import { type Directory, type DirectoryEntry, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { importNar } from "../../src/store/import.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import type { StoreSchema } from "../../src/worker/database.ts";
import { writePacked } from "../../src/worker/packed-services.ts";
import type { PackedStore } from "../../src/worker/packed-store.ts";
import { refetch } from "../../src/worker/refetch.ts";
import { storageUsage } from "../../src/worker/usage.ts";
import { verifyStore } from "../../src/worker/verify.ts";
import { readAll } from "../conformance/content.ts";
import {
  BLOB,
  CHUNK,
  changePack,
  closeAll,
  collect,
  DIRECTORY,
  engine,
  expectClean,
  expectWhole,
  failure,
  flip,
  forget,
  holdWrite,
  importTree,
  objects,
  open,
  type Place,
  place,
  reader,
  recordKeys,
  STORAGES,
  type Storage,
  unfinishedImport,
  verified,
} from "./packed-world.browser.ts";
import { long, narOf, type Tree } from "./trees.ts";

afterEach(closeAll);

const A = { text: "of a", large: long(1), sub: { text: "below a" } } satisfies Tree;
const B = { text: "of b", large: long(2), shared: "shared" } satisfies Tree;
const C = { text: "of c", shared: "shared" } satisfies Tree;

interface World {
  readonly name: string;
  readonly store: PackedStore;
  readonly a: PathInfo;
  readonly b: PathInfo;
  readonly c: PathInfo;
  /** A remote store that has all three paths. */
  readonly remote: RemoteStore;
}

async function makeRemote(...trees: readonly Tree[]): Promise<RemoteStore> {
  const memory = createMemoryStore(engine);
  for (const [i, tree] of trees.entries()) {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* narOf(tree);
    };
    await importNar(memory, engine, source(), { name: ["a", "b", "c"][i] as string });
  }
  const calculate = (node: Node) => calculateNar(memory, engine, node);
  return { ...memory, name: "memory", calculateNar: calculate };
}

async function world(storage: Storage): Promise<World> {
  const name = crypto.randomUUID();
  const store = await open(storage, name);
  const a = await importTree(store, A, "a");
  const b = await importTree(store, B, "b");
  const c = await importTree(store, C, "c");
  return { name, store, a, b, c, remote: await makeRemote(A, B, C) };
}

async function repaired(store: PackedStore, remote: RemoteStore): Promise<number> {
  return store.locks.collecting(undefined, () =>
    store.holding(async () => refetch(store, engine, await verifyStore(store, engine, {}), remote, {})),
  );
}

/** Opens the store as another tab: from storage, without state in memory. */
async function reopened({ store, name }: World): Promise<PackedStore> {
  return open(store.storage, name);
}

const byName = <T extends { name: string }>(list: readonly T[]): T[] => [...list].sort((x, y) => (x.name < y.name ? -1 : 1));

interface Expected {
  readonly corrupt?: readonly Pick<Place, "named">[];
  readonly missing?: readonly Pick<Place, "named">[];
  readonly broken: readonly PathInfo[];
}

/**
 * Expects that the damage is reported, that undamaged paths are readable, and that a repair from a
 * complete remote restores everything.
 */
async function expectDamage(w: World, { corrupt = [], missing = [], broken }: Expected): Promise<void> {
  const store = await reopened(w);
  for (const info of [w.a, w.b, w.c]) {
    if (broken.includes(info)) expect(["corrupt", "not-found"]).toContain(await failure(expectWhole(store, info)));
    else await expectWhole(store, info);
  }
  const { report } = await verified(store);
  expect(byName(report.corrupt)).toEqual(byName(corrupt.map(({ named }) => named)));
  expect(byName(report.missing)).toEqual(byName(missing.map(({ named }) => named)));
  expect([...report.storePaths].sort()).toEqual(broken.map(({ storePath }) => storePath).sort());
  expect(await repaired(store, w.remote)).toBe(broken.length);
  // A message from another tab would cause this refresh.
  await w.store.refresh();
  for (const each of [store, w.store, await reopened(w)]) {
    for (const info of [w.a, w.b, w.c]) await expectWhole(each, info);
    await expectClean(each);
  }
  // Good objects have permanently replaced the damaged ones.
  await collect(store);
  for (const info of [w.a, w.b, w.c]) await expectWhole(store, info);
  await expectClean(store);
}

async function putRecord(store: PackedStore, key: string, value: unknown): Promise<void> {
  await store.database.write(["packs", "meta"], "relaxed", async (transaction) => {
    const packs = transaction.objectStore("packs");
    if (value === undefined) await packs.delete(key);
    else await packs.put(value as StoreSchema["packs"]["value"], key);
    const generation = Number(await transaction.objectStore("meta").get("generation"));
    await transaction.objectStore("meta").put(generation + 1, "generation");
  });
}

function rootOf({ node }: PathInfo): Digest {
  if (node.kind !== "directory") throw new Error("it is a directory");
  return node.digest;
}

const textOf = (store: PackedStore, text: string): Place => place(store, CHUNK, digestOf(utf8(text)));

describe.each(STORAGES)("damage to packs in %s", (storage) => {
  test("a flipped bit in a text", async () => {
    const w = await world(storage);
    const chunk = textOf(w.store, "below a");
    await flip(w.store, w.name, chunk);
    expect(await failure(reader(await reopened(w)).blobs.readMany([chunk.digest]))).toBe("corrupt");
    await expectDamage(w, { corrupt: [chunk], broken: [w.a] });
  });

  test("a flipped bit in a text that two paths share", async () => {
    const w = await world(storage);
    const chunk = textOf(w.store, "shared");
    await flip(w.store, w.name, chunk);
    await expectDamage(w, { corrupt: [chunk], broken: [w.b, w.c] });
  });

  test("a flipped bit in a chunk of a long file", async () => {
    const w = await world(storage);
    const blob = place(w.store, BLOB, digestOf(A.large));
    const [stat] = await reader(w.store).blobs.stat([blob.digest]);
    const chunk = place(w.store, CHUNK, stat?.chunks[1]?.digest as Digest);
    await flip(w.store, w.name, chunk);
    const store = await reopened(w);
    expect(await failure(readAll(await reader(store).blobs.open(blob.digest)))).toBe("corrupt");
    // This range lies in an undamaged chunk.
    const head = await readAll(await reader(store).blobs.open(blob.digest, { offset: 0, length: 100 }));
    expect(head).toEqual(A.large.slice(0, 100));
    await expectDamage(w, { corrupt: [chunk, blob], broken: [w.a] });
  });

  test("a flipped bit in a chunk list", async () => {
    const w = await world(storage);
    const blob = place(w.store, BLOB, digestOf(A.large));
    // The first byte of the first chunk's digest.
    await changePack(w.store, w.name, blob.pack, (bytes) => bytes.map((byte, i) => (i === blob.offset + 4 ? byte ^ 1 : byte)));
    const store = await reopened(w);
    expect(await failure(readAll(await reader(store).blobs.open(blob.digest)))).toBe("corrupt");
    const { report } = await verified(store);
    expect(report.corrupt).toEqual([blob.named]);
    expect(report.storePaths).toEqual([w.a.storePath]);
    expect(await repaired(store, w.remote)).toBe(1);
    for (const each of [store, await reopened(w)]) {
      for (const info of [w.a, w.b, w.c]) await expectWhole(each, info);
      await expectClean(each);
    }
  });

  test("a chunk list that claims to be longer than it is", async () => {
    const w = await world(storage);
    const blob = place(w.store, BLOB, digestOf(A.large));
    await changePack(w.store, w.name, blob.pack, (bytes) => bytes.map((byte, i) => (i === blob.offset + 3 ? 0xff : byte)));
    await expectDamage(w, { corrupt: [blob], broken: [w.a] });
  });

  test("a flipped bit in the root directory, and in a directory below it", async () => {
    const w = await world(storage);
    const root = place(w.store, DIRECTORY, rootOf(w.b));
    await flip(w.store, w.name, root);
    expect(await failure(reader(await reopened(w)).directories.get(root.digest))).toBe("corrupt");
    const inner = objects(w.store, DIRECTORY).find(
      ({ digest, pack }) => pack === textOf(w.store, "of a").pack && digest.some((byte, i) => byte !== rootOf(w.a)[i]),
    ) as Place;
    await flip(w.store, w.name, inner);
    await expectDamage(w, { corrupt: [root, inner], broken: [w.a, w.b] });
  });

  test("another import of the same content repairs it, for all tabs", async () => {
    const w = await world(storage);
    const large = place(w.store, BLOB, digestOf(A.large));
    const [stat] = await reader(w.store).blobs.stat([large.digest]);
    const chunk = place(w.store, CHUNK, stat?.chunks[1]?.digest as Digest);
    const damaged = [textOf(w.store, "below a"), chunk, large, place(w.store, DIRECTORY, rootOf(w.a))];
    for (const one of damaged) await flip(w.store, w.name, one);
    const store = await reopened(w);
    expect((await verified(store)).report.corrupt).toHaveLength(damaged.length);
    await importTree(store, A, "a");
    await w.store.refresh();
    for (const each of [store, w.store, await reopened(w)]) {
      for (const info of [w.a, w.b, w.c]) await expectWhole(each, info);
      await expectClean(each);
    }
  });

  test("a pack that is cut short lacks the objects at its end", async () => {
    const w = await world(storage);
    const root = place(w.store, DIRECTORY, rootOf(w.c));
    await changePack(w.store, w.name, root.pack, (bytes) => bytes.slice(0, root.offset + root.length - 1));
    const store = await reopened(w);
    expect(await failure(reader(store).directories.get(root.digest))).toBe("corrupt");
    expect(await failure(store.read(CHUNK, [textOf(store, "of c").digest]))).toBe("none");
    await expectDamage(w, { corrupt: [root], broken: [w.c] });
  });

  test("a missing pack lacks all its objects, and is counted", async () => {
    const w = await world(storage);
    const { pack } = textOf(w.store, "of b");
    const lost = [CHUNK, DIRECTORY, BLOB].flatMap((kind) => objects(w.store, kind as never)).filter((each) => each.pack === pack);
    expect(lost.length).toBeGreaterThan(5);
    w.store.close();
    const packs = storage === "opfs" ? w.store.packs.opfs : w.store.packs.indexeddb;
    // The import of the last tree has read the pack. Chromium releases its file soon after the
    // close.
    await expect.poll(() => packs?.delete(pack)).toBe(true);
    const store = await reopened(w);
    expect(await store.missingPacks()).toBe(1);
    expect(await failure(reader(store).blobs.readMany([digestOf(utf8("of b"))]))).toBe("corrupt");
    await expectDamage(w, { corrupt: lost, broken: [w.b, w.c] });
    expect(await (await reopened(w)).missingPacks()).toBe(0);
  });

  test("a missing index record: its objects are missing", async () => {
    const w = await world(storage);
    const { key } = textOf(w.store, "of c");
    const missing = [place(w.store, DIRECTORY, rootOf(w.c))];
    await putRecord(w.store, key, undefined);
    const store = await reopened(w);
    expect(await failure(expectWhole(store, w.c))).toBe("not-found");
    await expectDamage(w, { missing, broken: [w.c] });
  });

  test("a missing index record of chunks whose chunk list still exists", async () => {
    const w = await world(storage);
    // The content differs only at its end, so the other chunks are in the first pack.
    const longer = { large: new Uint8Array([...A.large, 1, 2, 3]) };
    const d = await importTree(w.store, longer, "d");
    const { key } = textOf(w.store, "of a");
    const [stat] = await reader(w.store).blobs.stat([digestOf(longer.large)]);
    const chunks = stat?.chunks.map(({ digest }) => place(w.store, CHUNK, digest)) ?? [];
    const missing = chunks.filter((chunk) => chunk.key === key);
    expect(missing.length).toBeGreaterThan(0);
    expect(chunks.length).toBeGreaterThan(missing.length);
    const blob = place(w.store, BLOB, digestOf(longer.large));
    const root = place(w.store, DIRECTORY, rootOf(w.a));
    await putRecord(w.store, key, undefined);
    const store = await reopened(w);
    const { report } = await verified(store);
    expect(byName(report.missing)).toEqual(byName([...missing, root].map(({ named }) => named)));
    expect(report.corrupt).toEqual([blob.named]);
    expect([...report.storePaths].sort()).toEqual([w.a.storePath, d.storePath].sort());
    // The remote lacks this path.
    expect(await repaired(store, w.remote)).toBe(1);
    expect((await verified(store)).report.storePaths.length).toBeLessThan(2);
    for (const info of [w.a, w.b, w.c]) await expectWhole(store, info);
  });

  test.each([
    [
      "is cut within an entry",
      (record: Record<string, unknown>) => ({ ...record, entries: (record.entries as Uint8Array).slice(0, -7) }),
    ],
    ["points beyond its pack", (record: Record<string, unknown>) => ({ ...record, size: 1 })],
    ["is something else", () => "something else"],
    ["has no entries and no size", ({ pack, storage }: Record<string, unknown>) => ({ pack, storage })],
  ])("an index record that %s", async (_, change) => {
    const w = await world(storage);
    const { key } = textOf(w.store, "of c");
    const record = await w.store.database.read("packs", (packs) => packs.get(key));
    await putRecord(w.store, key, change({ ...record }));
    const store = await reopened(w);
    expect(await failure(expectWhole(store, w.c))).toBe("not-found");
    for (const info of [w.a, w.b]) await expectWhole(store, info);
    const { report } = await verified(store);
    expect(report.storePaths).toEqual([w.c.storePath]);
    expect(Number.isFinite((await storageUsage(store)).packs.bytes)).toBe(true);
    expect(await failure(collect(store))).toBe("corrupt");
    expect(await repaired(store, w.remote)).toBe(1);
    for (const info of [w.a, w.b, w.c]) await expectWhole(store, info);
    await collect(store);
    for (const each of [store, await reopened(w)]) {
      for (const info of [w.a, w.b, w.c]) await expectWhole(each, info);
      await expectClean(each);
    }
  });

  test("damaged objects without references are collected as garbage", async () => {
    const w = await world(storage);
    const chunk = textOf(w.store, "of a");
    await flip(w.store, w.name, chunk);
    await forget(w.store, w.a);
    expect((await verified(w.store)).report).toMatchObject({ corrupt: [chunk.named], missing: [], storePaths: [] });
    await collect(w.store);
    await expectClean(w.store);
  });

  test("damage that a remote can't repair stays, and the rest is fetched", async () => {
    const w = await world(storage);
    const [inA, inC] = [textOf(w.store, "below a"), textOf(w.store, "of c")];
    await flip(w.store, w.name, inA);
    await flip(w.store, w.name, inC);
    const before = await recordKeys(w.store);
    expect(await repaired(w.store, await makeRemote(A))).toBe(1);
    expect((await verified(w.store)).report).toMatchObject({ corrupt: [inC.named], missing: [], storePaths: [w.c.storePath] });
    expect(await repaired(w.store, await makeRemote())).toBe(0);
    await expectWhole(w.store, w.a);
    expect(await recordKeys(w.store)).not.toEqual(before);
    expect(await repaired(w.store, w.remote)).toBe(1);
    await expectClean(w.store);
  });

  test("an object that is damaged in one place and intact in another", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    // Neither import sees the objects of the other.
    const [one, two] = [await unfinishedImport(store, C, "c"), await unfinishedImport(store, { ...C, more: "more" }, "more")];
    await one.end();
    await two.end();
    const once = await storageUsage(store);
    expect(once.objects.chunks).toEqual({ count: 3, bytes: "of cshared".length + "more".length });
    const chunk = textOf(store, "of c");
    await flip(store, name, chunk);
    const { report } = await verified(store);
    expect(report.corrupt).toEqual([chunk.named]);
    expect(report.storePaths.length).toBe(2);
    // The remote lacks the blobs. The intact copy makes the repair possible.
    expect(await repaired(store, { ...(await makeRemote(A, B, C)), blobs: createMemoryStore(engine).blobs })).toBeGreaterThan(0);
    await expectWhole(store, one.value);
    await expectWhole(store, two.value);
    await expectClean(store);
  });

  test("objects that another tab imports during verification are not reported as missing", async () => {
    const w = await world(storage);
    const other = await reopened(w);
    const database = w.store.database;
    const snapshot = database.snapshot.bind(database);
    let imported: PathInfo | undefined;
    database.snapshot = async (names, work) => {
      // At this point all objects have been read.
      if (names.includes("pathInfos") && !imported) imported = await importTree(other, { d: "of d", sub: { large: long(9) } }, "d");
      return snapshot(names, work);
    };
    const { report, roots } = await verified(w.store);
    expect(imported).toBeDefined();
    expect(report).toMatchObject({ corrupt: [], missing: [], storePaths: [] });
    expect(roots).toEqual([]);
  });

  test("a tree whose directories repeat the same child is walked once, damaged or not", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const small = await importTree(store, { large: long(1) }, "deep");
    const deep = await writePacked(store, engine, { durability: "relaxed" }, async (services) => {
      const entry = (name: string, node: Node): DirectoryEntry => ({ name: utf8(name), node });
      const directories = [
        makeDirectory([entry("large", { kind: "file", digest: digestOf(long(1)), size: 600_000n, executable: false })]),
      ];
      for (let i = 0; i < 48; i++) {
        const child = directoryNode(directories[i] as Directory, "documented");
        directories.push(makeDirectory([entry("a", child), entry("b", child)]));
      }
      await services.directories.put(directories);
      return services.pathInfos.put({ ...small, node: directoryNode(directories[48] as Directory, "documented") });
    });
    const [stat] = await reader(store).blobs.stat([digestOf(long(1))]);
    const chunk = place(store, CHUNK, stat?.chunks[0]?.digest as Digest);
    // Some 2 ** 48 ways lead to this chunk.
    await flip(store, name, chunk);
    expect((await verified(store)).report.storePaths).toEqual([deep.storePath]);
  });
});

describe.each(STORAGES)("damage to path infos: packs in %s", (storage) => {
  test.each([
    ["breaks a rule", (info: PathInfo) => ({ ...info, narSize: -1 })],
    ["lacks its node", ({ node, ...info }: PathInfo) => info],
    ["is something else", () => "something else"],
    ["is empty", () => ({})],
  ])("one that %s", async (_, change) => {
    const w = await world(storage);
    const hashPart = w.a.storePath.slice(11, 43);
    await w.store.database.write(["pathInfos"], "relaxed", (transaction) =>
      transaction.objectStore("pathInfos").put(change(w.a) as PathInfo, hashPart),
    );
    const store = await reopened(w);
    expect(await failure(reader(store).pathInfos.get(hashPart))).toBe("corrupt");
    for (const info of [w.b, w.c]) await expectWhole(store, info);
    const { report } = await verified(store);
    expect(report).toMatchObject({ corrupt: [{ kind: "path-info", name: hashPart }], missing: [], storePaths: [hashPart] });
    const { storePaths, logical } = await storageUsage(store);
    expect(storePaths).toBe(3);
    // The damaged path info may count if its size is readable.
    expect([0, w.a.narSize]).toContain(logical - w.b.narSize - w.c.narSize);
    expect(await reader(store).pathInfos.delete(hashPart)).toBe(true);
    await expectClean(store);
  });
});

test("a repair in progress leaves the store unchanged until its transaction ends", async () => {
  const w = await world("indexeddb");
  const chunk = textOf(w.store, "of c");
  await flip(w.store, w.name, chunk);
  const trimming = holdWrite(w.store, "packs");
  const repairing = repaired(w.store, w.remote);
  await trimming.reached;
  expect((await verifyStore(await reopened(w), engine, {})).report.corrupt).toEqual([chunk.named]);
  trimming.go();
  expect(await repairing).toBe(1);
  await expectClean(await reopened(w));
});
