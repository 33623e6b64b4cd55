import { describe, expect, test } from "vitest";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { NewObject } from "../../src/worker/object-view.ts";
import { readEntries } from "../../src/worker/pack-entries.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { RepairView } from "../../src/worker/repair-view.ts";
import {
  BLOB,
  CHUNK,
  DIRECTORY,
  directory,
  dropRecord,
  longBlob,
  type MemoryStore,
  makePack,
  memoryStore,
  putPack,
  symlink,
  text,
} from "./memory-store.ts";

const [A, B, C] = [text("a"), text("bb"), text("ccc")];
const LONG = longBlob(B, C);
const EMPTY = { kind: "directory", digest: EMPTY_DIGEST, size: 0n } as const;
const SUB = directory({ long: LONG.node });
const ROOT = directory({ a: A.node, empty: EMPTY, link: symlink, sub: SUB.node });

/** Adds a pack to the table, and not to the index. @returns the number of its first entry */
async function lostPack(world: MemoryStore, objects: readonly NewObject[]): Promise<{ first: number; record: IndexRecord }> {
  const { id, bytes, record: made } = await makePack(world, objects);
  world.opfs.files.set(id, bytes);
  const record: IndexRecord = { ...made, trailer: made.trailer ?? 0, alive: false, key: id, count: objects.length, bytes: 0 };
  const { table } = world.store;
  const first = table.count;
  readEntries("a pack", made, (digest, kind, offset, length) => table.add(digest, kind, record, offset, length));
  return { first, record };
}

describe("the view shows", () => {
  test("objects of the index, unless their pack is missing, and intact objects of the added packs", async () => {
    const world = memoryStore();
    const [present, missing] = [await putPack(world, [A]), await putPack(world, [B])];
    missing.missing = true;
    await dropRecord(world, await putPack(world, [text("dropped")]));
    const { first, record } = await lostPack(world, [C, SUB]);
    const view = new RepairView(world.store);
    view.add(record);
    expect([view.covers(record), view.covers(present)]).toEqual([true, false]);
    const digests = [A, B, C, text("dropped")].map(({ digest }) => digest);
    expect(await view.has(CHUNK, digests)).toEqual([true, false, false, false]);
    view.markIntact(first);
    expect(await view.has(CHUNK, digests)).toEqual([true, false, true, false]);
    expect(await view.read(CHUNK, digests)).toEqual([A.bytes, undefined, C.bytes, undefined]);
    expect(await view.has(DIRECTORY, [SUB.digest])).toEqual([false]);
    expect([view.isIntact(first), view.isIntact(first + 1), view.isWhole(first)]).toEqual([true, false, false]);
  });

  test("one chunk list at a time, of the entry that is checked", async () => {
    const world = memoryStore();
    const view = new RepairView(world.store);
    const damaged = { ...LONG, bytes: LONG.bytes.slice().fill(0) };
    const { first } = await lostPack(world, [LONG, damaged]);
    expect(await view.has(BLOB, [LONG.digest])).toEqual([false]);
    view.showBlob(first + 1);
    expect(await view.read(BLOB, [LONG.digest])).toEqual([damaged.bytes]);
    view.showBlob(first);
    expect(await view.read(BLOB, [LONG.digest])).toEqual([LONG.bytes]);
    expect(await view.read(BLOB, [A.digest])).toEqual([undefined]);
  });
});

test("a node is whole if it needs no content, or if its content is in the index or marked whole", async () => {
  const world = memoryStore();
  await putPack(world, [A]);
  const gone = await putPack(world, [C]);
  gone.missing = true;
  const { first } = await lostPack(world, [B, LONG, SUB]);
  const view = new RepairView(world.store);
  for (const entry of [first, first + 1, first + 2]) view.markIntact(entry);
  const whole = (): boolean[] => [A.node, B.node, C.node, LONG.node, SUB.node].map((node) => view.isNodeWhole(node));
  expect(whole()).toEqual([true, false, false, false, false]);
  view.markWhole(first);
  view.markWhole(first + 2);
  expect(whole()).toEqual([true, true, false, false, true]);
  view.markWhole(first + 1);
  expect(whole()).toEqual([true, true, false, true, true]);
  expect([symlink, EMPTY, { ...C.node, size: 0n }].map((node) => view.isNodeWhole(node))).toEqual([true, true, true]);
  // A chunk's digest is no directory.
  expect(view.isNodeWhole({ kind: "directory", digest: A.digest, size: 1n })).toBe(false);
});

describe("a directory is whole if", () => {
  /** Checks `ROOT` in a lost pack with these objects. */
  async function check(
    objects: readonly NewObject[],
    whole: readonly NewObject[],
    { damaged = [], change = () => {} }: { damaged?: readonly NewObject[]; change?: (files: Map<string, Uint8Array>) => void } = {},
  ) {
    const world = memoryStore();
    const { first, record } = await lostPack(world, objects);
    const view = new RepairView(world.store);
    view.add(record);
    for (const [i, object] of objects.entries()) {
      if (!damaged.includes(object)) view.markIntact(first + i);
      if (whole.includes(object)) view.markWhole(first + i);
    }
    change(world.opfs.files);
    const isWhole = await view.checkDirectory(first + objects.indexOf(ROOT));
    return { isWhole, marked: objects.filter((_, i) => view.isWhole(first + i)), view, first };
  }

  test("everything beneath it is; the directories beneath it are marked too", async () => {
    const { isWhole, marked } = await check([A, LONG, ROOT, SUB], [A, LONG]);
    expect(isWhole).toBe(true);
    expect(marked).toEqual([A, LONG, ROOT, SUB]);
  });

  test.each([
    ["a file is not", [A, LONG, ROOT, SUB], [LONG], [LONG, SUB]],
    ["a file of a directory beneath it is not", [A, LONG, ROOT, SUB], [A], [A]],
    ["a directory beneath it is missing", [A, LONG, ROOT], [A, LONG], [A, LONG]],
  ])("not if %s", async (_, objects, whole, marked) => {
    const result = await check(objects, whole);
    expect(result.isWhole).toBe(false);
    expect(result.marked).toEqual(marked);
    // The answer is the same when it is known.
    expect(await result.view.checkDirectory(result.first + objects.indexOf(ROOT))).toBe(false);
  });

  test("not if it can't be read, or is no directory", async () => {
    const unreadable = await check([A, LONG, ROOT, SUB], [A, LONG], { change: (files) => files.clear() });
    expect(unreadable.isWhole).toBe(false);
    const change = (files: Map<string, Uint8Array>): void => {
      for (const file of files.values()) file.fill(0xff, 64);
    };
    const { isWhole } = await check([A, LONG, ROOT, SUB], [A, LONG], { change });
    expect(isWhole).toBe(false);
  });

  test("the second of two copies of a directory beneath it is intact", async () => {
    const copy = { ...SUB };
    const { isWhole, marked } = await check([SUB, A, LONG, ROOT, copy], [A, LONG], { damaged: [SUB] });
    expect(isWhole).toBe(true);
    expect(marked).toEqual([A, LONG, ROOT, copy]);
  });
});

test("each directory of a deep tree is read twice at most", async () => {
  const world = memoryStore();
  const DEPTH = 500;
  const levels = [directory({ a: A.node })];
  for (let i = 1; i < DEPTH; i++) {
    const { node } = levels[i - 1] as (typeof levels)[number];
    levels.push(directory({ x: { ...node, size: 1n } }));
  }
  const { first } = await lostPack(world, [A, ...levels]);
  const view = new RepairView(world.store);
  view.markWhole(first);
  for (let i = 0; i <= DEPTH; i++) view.markIntact(first + i);
  world.opfs.reads = 0;
  expect(await view.checkDirectory(first + DEPTH)).toBe(true);
  expect(world.opfs.reads).toBeLessThanOrEqual(2 * DEPTH);
  expect(Array.from({ length: DEPTH }, (_, i) => view.isWhole(first + 1 + i)).every(Boolean)).toBe(true);
});
