import { describe, expect, test, vi } from "vitest";
import { EMPTY_DIGEST, formatDigest } from "../../src/castore/digest.ts";
import type { OperationOptions, Progress } from "../../src/progress.ts";
import type { NewObject } from "../../src/worker/object-view.ts";
import { type Verified, verifyStore } from "../../src/worker/verify.ts";
import {
  damage,
  directory,
  dropRecord,
  engine,
  entryOf,
  hashPart,
  longBlob,
  type MemoryStore,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  symlink,
  text,
} from "./memory-store.ts";

const [A, B, C] = [text("a"), text("bb"), text("ccc")];
const LONG = longBlob(B, C);
const SUB = directory({ long: LONG.node });
const EMPTY = { kind: "directory", digest: EMPTY_DIGEST, size: 0n } as const;
const ROOT = directory({
  a: A.node,
  empty: EMPTY,
  link: symlink,
  none: { ...A.node, digest: EMPTY_DIGEST, size: 0n },
  sub: SUB.node,
});
const ALL = [A, B, C, LONG, SUB, ROOT];
const INFO = pathInfo("a", ROOT.node);

function verify({ store }: MemoryStore, options: OperationOptions = {}): Promise<Verified> {
  return store.holding(() => verifyStore(store, engine, options));
}

const named = ({ kind, digest }: NewObject) => ({ kind: ["chunk", "directory", "blob"][kind], name: formatDigest(digest) });

/** A store whose only store path is `ROOT`, with these objects. */
async function withRoot(objects: readonly NewObject[] = ALL): Promise<MemoryStore> {
  const world = memoryStore();
  await putPack(world, objects);
  await putPathInfos(world, INFO);
  return world;
}

describe("an intact store", () => {
  test("has no damage, and all bytes are counted", async () => {
    const world = await withRoot();
    await putPathInfos(world, pathInfo("b", EMPTY), pathInfo("c", symlink), pathInfo("d", LONG.node));
    await world.database.put("pins", "pin", { name: "pin", node: A.node });
    const told: Progress[] = [];
    const { report, damaged, roots } = await verify(world, { onProgress: (progress) => told.push(progress) });
    const bytes = ALL.reduce((sum, object) => sum + object.bytes.length, 0);
    expect(report).toEqual({ objects: 6, bytes, corrupt: [], missing: [], storePaths: [], refetched: 0 });
    expect([...damaged]).toEqual([]);
    expect(roots).toEqual([]);
    expect(told).toHaveLength(6);
    expect(told.at(-1)).toEqual({ phase: "verifying", unit: "bytes", loaded: bytes, total: bytes });
  });

  test("may have dead records", async () => {
    const world = await withRoot();
    const dead = await putPack(world, [text("dead")]);
    world.opfs.files.delete(dead.pack);
    await dropRecord(world, dead);
    expect((await verify(world)).report).toMatchObject({ objects: 6, corrupt: [], storePaths: [] });
  });
});

describe("a damaged object is corrupt, and makes its store path incomplete:", () => {
  test.each([
    ["a chunk", A, [A]],
    ["a directory", SUB, [SUB]],
    ["the root", ROOT, [ROOT]],
    ["a chunk of a long file, with the chunk list", C, [C, LONG]],
  ])("%s", async (_, object, corrupt) => {
    const world = await withRoot();
    damage(world, object.kind, object.digest);
    const { report, damaged, roots } = await verify(world);
    expect(report.corrupt).toEqual(corrupt.map(named));
    expect(report.missing).toEqual([]);
    expect(report.storePaths).toEqual([INFO.storePath]);
    expect([...damaged]).toEqual(corrupt.map((each) => entryOf(world, each)));
    expect(roots).toEqual([INFO]);
  });

  test("a pack that can't be read: every object in it", async () => {
    const world = await withRoot(ALL.slice(1));
    const { pack } = await putPack(world, [A]);
    world.opfs.files.delete(pack);
    expect((await verify(world)).report.corrupt).toEqual([named(A)]);
  });
});

describe("a missing object is reported once, and makes its store paths incomplete:", () => {
  test.each([
    ["a chunk", [A], [A], []],
    ["a directory", [SUB], [SUB], []],
    ["the root", [ROOT], [ROOT], []],
    ["a chunk list", [LONG], [{ ...LONG, kind: A.kind }], []],
    ["a chunk of a long file, with a corrupt chunk list", [C], [C], [LONG]],
    ["all chunks of a long file", [B, C], [B, C], [LONG]],
  ])("%s", async (_, lacking, missing, corrupt) => {
    const world = await withRoot(ALL.filter((object) => !lacking.includes(object as never)));
    const second = pathInfo("b", directory({ again: ROOT.node, more: ROOT.node }).node);
    await putPack(world, [directory({ again: ROOT.node, more: ROOT.node })]);
    await putPathInfos(world, second);
    const { report, roots } = await verify(world);
    expect(report.missing).toEqual(missing.map(named));
    expect(report.corrupt).toEqual(corrupt.map(named));
    expect(report.storePaths).toEqual([INFO.storePath, second.storePath]);
    expect(roots).toEqual([INFO, second]);
  });
});

test("a chunk list that can't be decoded is corrupt, and its chunks are unknown", async () => {
  const world = await withRoot([A, B, SUB, ROOT, { ...LONG, bytes: Uint8Array.of(9, 0, 0, 0) }]);
  const { report } = await verify(world);
  expect(report).toMatchObject({ corrupt: [named(LONG)], missing: [], storePaths: [INFO.storePath] });
});

test("a damaged path info is corrupt under its hash part, and no root", async () => {
  const world = await withRoot();
  await world.database.put("pathInfos", hashPart("b"), { ...pathInfo("b", A.node), narSize: -1 });
  const { report, roots } = await verify(world);
  expect(report.corrupt).toEqual([{ kind: "path-info", name: hashPart("b") }]);
  expect(report.storePaths).toEqual([hashPart("b")]);
  expect(roots).toEqual([]);
});

test("an incomplete pin is a root without a store path", async () => {
  const world = memoryStore();
  await world.database.put("pins", "pin", { name: "pin", node: A.node });
  const { report, roots } = await verify(world);
  expect(report).toMatchObject({ missing: [named(A)], storePaths: [] });
  expect(roots).toEqual([{ node: A.node }]);
});

test("an object that is damaged in one pack and intact in another makes no path incomplete if the first is intact", async () => {
  const world = await withRoot();
  const again = await putPack(world, [A]);
  (world.opfs.files.get(again.pack) as Uint8Array)[64] = 0;
  const { report } = await verify(world);
  expect(report).toMatchObject({ objects: 7, corrupt: [named(A)], missing: [], storePaths: [] });
});

test("objects that another tab commits during the walk are not missing", async () => {
  const world = memoryStore();
  const other = memoryStore("opfs", world);
  await putPathInfos(world, INFO, pathInfo("b", LONG.node));
  const read = world.database.snapshot.bind(world.database);
  world.database.snapshot = async (names, work) => {
    if (names.includes("pathInfos")) {
      world.database.snapshot = read;
      await putPack(other, ALL);
    }
    return read(names, work);
  };
  expect((await verify(world)).report).toMatchObject({ objects: 0, missing: [], storePaths: [] });
});

test("a directory that many paths share is read once for its bytes, and once for the walk", async () => {
  const world = await withRoot();
  await putPathInfos(world, pathInfo("b", ROOT.node), pathInfo("c", SUB.node));
  const read = vi.spyOn(world.store, "readLocations");
  await verify(world);
  const ofSub = read.mock.calls
    .flatMap(([locations]) => locations)
    .filter((location) => location?.offset === world.store.table.location(entryOf(world, SUB)).offset);
  expect(ofSub).toHaveLength(2);
});

describe("an abort ends the verification with its reason", () => {
  test.each([
    ["while objects are hashed", 1],
    ["while long files are read", 5],
    ["at the last object, before the walk", 6],
  ])("%s", async (_, after) => {
    const world = await withRoot();
    const controller = new AbortController();
    let told = 0;
    const onProgress = (): void => {
      if (++told === after) controller.abort("enough");
    };
    await expect(verify(world, { signal: controller.signal, onProgress })).rejects.toBe("enough");
  });
});
