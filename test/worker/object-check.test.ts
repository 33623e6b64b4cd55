import { describe, expect, test } from "vitest";
import { ChunkedBlobService } from "../../src/castore/chunked-blobs.ts";
import { formatDigest } from "../../src/castore/digest.ts";
import { StoreError } from "../../src/error.ts";
import { describeObject, entryBatches, isWholeBlob, matchDigests, readIntact } from "../../src/worker/object-check.ts";
import { ReadOnlyObjects } from "../../src/worker/object-view.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { PackedChunkStore } from "../../src/worker/packed-services.ts";
import {
  BLOB,
  CHUNK,
  DIRECTORY,
  damage,
  engine,
  failure,
  longBlob,
  type MemoryStore,
  memoryStore,
  putPack,
  text,
} from "./memory-store.ts";

const [A, B, C] = [text("a"), text("bb"), text("ccc")];

describe("a batch of entries ends", () => {
  function batches(lengths: readonly number[]): number[] {
    const { store } = memoryStore();
    const record: IndexRecord = { alive: true, key: "", pack: "", storage: "opfs", size: 0, trailer: 0, count: 0, bytes: 0 };
    for (const length of lengths) store.table.add(A.digest, CHUNK, record, 0, length);
    return [...entryBatches(store, lengths.keys())].map(({ length }) => length);
  }

  test("with the entry that reaches 4 MiB", () => {
    const MIB = 1024 * 1024;
    expect(batches([4 * MIB - 1, 1, 5 * MIB, 1, 1])).toEqual([2, 1, 2]);
    expect(batches([4 * MIB])).toEqual([1]);
  });

  test("after 4096 entries, and at the end", () => {
    expect(batches([])).toEqual([]);
    // Many objects of the same digest, so not too many.
    expect(batches(new Array(4097).fill(1))).toEqual([4096, 1]);
  });
});

describe("objects are compared with their digests:", () => {
  test("damaged and unreadable ones don't match", async () => {
    const world = memoryStore();
    await putPack(world, [A, B]);
    const gone = await putPack(world, [C]);
    expect(await matchDigests(world.store, engine, [0, 1, 2])).toEqual([true, true, true]);
    damage(world, CHUNK, A.digest);
    world.opfs.files.delete(gone.pack);
    expect(await matchDigests(world.store, engine, [2, 1, 0])).toEqual([false, true, false]);
    expect(await matchDigests(world.store, engine, [])).toEqual([]);
  });
});

describe("reading objects", () => {
  test("reads all at once if all can be read, and otherwise each one by itself", async () => {
    const world = memoryStore();
    const first = await putPack(world, [A, B]);
    const gone = await putPack(world, [C]);
    const locations = [0, 1, 2].map((entry) => world.store.table.location(entry));
    expect(await readIntact(world.store, locations)).toEqual([A.bytes, B.bytes, C.bytes]);
    world.opfs.files.delete(gone.pack);
    expect(await readIntact(world.store, locations)).toEqual([A.bytes, B.bytes, undefined]);
    world.opfs.inUse.add(first.pack);
    expect(await readIntact(world.store, locations)).toEqual([undefined, undefined, undefined]);
  });

  test("passes other errors on", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    world.database.end(new StoreError("closed", "closed"));
    expect(await failure(readIntact(world.store, [world.store.table.location(0)]))).toBe("closed");
  });
});

describe("a blob is whole", () => {
  const blobs = ({ store }: MemoryStore): ChunkedBlobService =>
    new ChunkedBlobService(new PackedChunkStore(new ReadOnlyObjects(store)), engine);
  const LONG = longBlob(B, C);

  test("if its content matches its digest", async () => {
    const world = memoryStore();
    expect(await isWholeBlob(blobs(world), LONG.digest, undefined)).toBe(false);
    await putPack(world, [B, C, LONG]);
    expect(await isWholeBlob(blobs(world), LONG.digest, undefined)).toBe(true);
    damage(world, CHUNK, C.digest);
    expect(await isWholeBlob(blobs(world), LONG.digest, undefined)).toBe(false);
  });

  test("not if a chunk is missing, or if the chunk list is damaged", async () => {
    const world = memoryStore();
    await putPack(world, [B, LONG]);
    expect(await isWholeBlob(blobs(world), LONG.digest, undefined)).toBe(false);
    const other = memoryStore();
    await putPack(other, [B, C, { ...LONG, bytes: LONG.bytes.subarray(0, 50) }]);
    expect(await isWholeBlob(blobs(other), LONG.digest, undefined)).toBe(false);
  });

  test("or the check fails: after an abort, or if the storage can't be used", async () => {
    const world = memoryStore();
    const { pack } = await putPack(world, [B, C, LONG]);
    const signal = AbortSignal.abort("enough");
    await expect(isWholeBlob(blobs(world), LONG.digest, signal)).rejects.toBe("enough");
    world.opfs.inUse.add(pack);
    expect(await failure(isWholeBlob(blobs(world), LONG.digest, undefined))).toBe("unavailable");
  });
});

test("reports name an object by its kind and digest", () => {
  const name = formatDigest(A.digest);
  expect([CHUNK, DIRECTORY, BLOB].map((kind) => describeObject(kind as typeof CHUNK, A.digest))).toEqual([
    { kind: "chunk", name },
    { kind: "directory", name },
    { kind: "blob", name },
  ]);
});
