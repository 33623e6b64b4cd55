import { describe, expect, test } from "vitest";
import type { Progress } from "../../src/progress.ts";
import { decodeBlob } from "../../src/worker/blob-object.ts";
import { packLegacyObjects } from "../../src/worker/legacy-objects.ts";
import type { NewObject } from "../../src/worker/object-view.ts";
import { BLOB, CHUNK, DIRECTORY, directory, failure, has, longBlob, type MemoryStore, memoryStore, text } from "./memory-store.ts";

const [A, B] = [text("a"), text("bb")];
const LONG = longBlob(A, B);
const ROOT = directory({ a: A.node });
/** The chunk list as version 1 stored it, without a count. */
const CHUNKS = LONG.bytes.subarray(4);

async function put(
  { database }: MemoryStore,
  name: "chunks" | "blobs" | "directories",
  object: NewObject,
  value: unknown = object.bytes,
): Promise<void> {
  await database.put(name, object.digest, value);
}

const left = ({ database }: MemoryStore): number[] =>
  (["chunks", "blobs", "directories"] as const).map((name) => database.rows(name).length);

test("objects of version 1 are packed, chunks first, and their records are removed", async () => {
  const world = memoryStore("opfs", { hasLegacy: true });
  const second = longBlob(B, A);
  await put(world, "chunks", A);
  await put(world, "chunks", B);
  await put(world, "blobs", LONG, { chunks: CHUNKS, bao: Uint8Array.of(1, 2, 3) });
  // An early version stored the chunk list alone.
  await put(world, "blobs", second, second.bytes.subarray(4));
  await put(world, "directories", ROOT);
  const told: Progress[] = [];
  await packLegacyObjects(world.store, { onProgress: (progress) => told.push(progress) });
  expect(left(world)).toEqual([0, 0, 0]);
  expect(await world.store.read(CHUNK, [A.digest, B.digest])).toEqual([A.bytes, B.bytes]);
  expect(await world.store.read(DIRECTORY, [ROOT.digest])).toEqual([ROOT.bytes]);
  const [blob, other] = await world.store.read(BLOB, [LONG.digest, second.digest]);
  expect(decodeBlob(blob as Uint8Array, LONG.digest)).toEqual({
    ...decodeBlob(LONG.bytes, LONG.digest),
    bao: Uint8Array.of(1, 2, 3),
  });
  expect(other).toEqual(second.bytes);
  expect(told).toEqual([
    { phase: "upgrading", unit: "objects", loaded: 2, total: 5 },
    { phase: "upgrading", unit: "objects", loaded: 4, total: 5 },
    { phase: "upgrading", unit: "objects", loaded: 5, total: 5 },
  ]);
  expect(world.database.transactions.flatMap(({ names, durability }) => (durability ? [names.join()] : []))).toEqual([
    "packs,meta,chunks",
    "packs,meta,blobs",
    "packs,meta,directories",
  ]);
  expect(await world.store.count("roots")).toBe(3);
});

test("a store without objects of version 1 is not touched", async () => {
  for (const hasLegacy of [false, true]) {
    const world = memoryStore("opfs", { hasLegacy });
    await packLegacyObjects(world.store, { signal: AbortSignal.abort("not even asked") });
    expect(world.database.transactions.some(({ durability }) => durability)).toBe(false);
  }
});

describe("a commit moves", () => {
  test("at most 4096 objects, which are read 64 at a time", async () => {
    const world = memoryStore("opfs", { hasLegacy: true });
    const objects = Array.from({ length: 4097 }, (_, i) => text(`object ${i}`));
    for (const object of objects) await put(world, "chunks", object);
    world.database.transactions.length = 0;
    const told: number[] = [];
    await packLegacyObjects(world.store, { onProgress: ({ loaded }) => told.push(loaded) });
    expect(told).toEqual([4096, 4097]);
    expect(objects.every((object) => has(world, object))).toBe(true);
    const reads = world.database.transactions.filter(({ names, durability }) => names.join() === "chunks" && !durability);
    // One counts, 64 read the first batch, one the second, and the last finds nothing.
    expect(reads).toHaveLength(1 + 64 + 1 + 1);
  });

  test("at most some 32 MiB", async () => {
    const world = memoryStore("opfs", { hasLegacy: true });
    // The objects share their content: nobody compares it with the digests.
    const large = new Uint8Array(256 * 1024);
    for (let i = 0; i < 192; i++) await put(world, "chunks", text(`large ${i}`), large);
    const told: number[] = [];
    await packLegacyObjects(world.store, { onProgress: ({ loaded }) => told.push(loaded) });
    expect(told).toEqual([128, 192]);
  });
});

test("an abort keeps what was moved, and the rest stays for the next attempt", async () => {
  const world = memoryStore("opfs", { hasLegacy: true });
  await put(world, "chunks", A);
  await put(world, "directories", ROOT);
  const controller = new AbortController();
  const packing = packLegacyObjects(world.store, { signal: controller.signal, onProgress: () => controller.abort("enough") });
  await expect(packing).rejects.toBe("enough");
  expect(left(world)).toEqual([0, 0, 1]);
  expect(world.locks.held).toEqual([]);
  await packLegacyObjects(world.store);
  expect([has(world, A), has(world, ROOT), ...left(world)]).toEqual([true, true, 0, 0, 0]);
});

test("a damaged chunk list stops the upgrade, and loses nothing", async () => {
  const world = memoryStore("opfs", { hasLegacy: true });
  await put(world, "blobs", LONG, { chunks: CHUNKS.subarray(1) });
  expect(await failure(packLegacyObjects(world.store))).toBe("corrupt");
  expect(left(world)).toEqual([0, 1, 0]);
  expect(world.locks.held).toEqual([]);
});
