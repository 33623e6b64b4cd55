import { beforeEach, expect, test, vi } from "vitest";
import { MemoryObjectStore } from "../../../src/backends/memory-objects.ts";
import { toHex, utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { ObjectChunkStore } from "../../../src/node/objects/object-chunk-store.ts";
import { compressZstd, decompressZstd } from "../../../src/node/zstd.ts";

const MIB = 1024 * 1024;
const CORRUPT = { name: "StoreError", code: "corrupt" };

let objects: MemoryObjectStore;
let store: ObjectChunkStore;
beforeEach(() => {
  objects = new MemoryObjectStore();
  store = new ObjectChunkStore(objects);
});

const [one, two] = [utf8("one"), utf8("two")];
const whole = digestOf(utf8("onetwo"));
const chunks = [one, two].map((bytes) => ({ digest: digestOf(bytes), bytes }));
const list = [one, two].map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }));
const keyOf = (kind: string, digest: Uint8Array) => `${kind}/b3/${toHex(digest).slice(0, 4)}/${toHex(digest)}`;
const objectAt = (kind: string, digest: Uint8Array) => objects.objects.get(keyOf(kind, digest)) ?? expect.fail("no object");

test("lays out chunks and blobs as tvix does", async () => {
  await store.put(chunks, [
    { digest: whole, chunks: list },
    { digest: digestOf(one), chunks: [] },
  ]);
  expect(decompressZstd(objectAt("chunks", digestOf(one)), 3, "chunk")).toEqual(one);
  // Field 2 of StatBlobResponse, twice. Each is a ChunkMeta of 36 bytes, with the digest in field 1
  // and the size in field 2.
  const meta = (part: Uint8Array) => [0x12, 36, 0x0a, 32, ...digestOf(part), 0x10, part.length];
  expect([...objectAt("blobs", whole)]).toEqual([...meta(one), ...meta(two)]);
  expect(objectAt("blobs", digestOf(one))).toHaveLength(0);
  expect(objects.objects.size).toBe(4);

  expect(await store.getBlobs([whole, digestOf(two), digestOf(one)])).toEqual([{ chunks: list }, undefined, { chunks: [] }]);
  expect(await store.getChunks([digestOf(two), whole])).toEqual([two, undefined]);
  expect(await store.hasChunks([digestOf(two), whole])).toEqual([true, false]);
});

test("keeps the outboard in the field that tvix's StatBlobResponse has for it", async () => {
  const entry = { chunks: list, bao: utf8("tree") };
  await store.put(chunks, [{ digest: whole, ...entry }]);
  // Field 3 follows the chunks.
  expect([...objectAt("blobs", whole).subarray(-6)]).toEqual([0x1a, 4, ...utf8("tree")]);
  expect(await store.getBlobs([whole])).toEqual([entry]);
});

test("writes the chunks in the group before the blobs, without those that exist or come twice", async () => {
  await store.put(chunks.slice(0, 1), []);
  const putMany = vi.spyOn(objects, "putMany");
  await store.put([...chunks, ...chunks], [{ digest: whole, chunks: list }]);
  const groups = putMany.mock.calls.map(([all]) => all.map((group) => [...group.keys()]));
  expect(groups).toEqual([[[keyOf("chunks", digestOf(two))], [keyOf("blobs", whole)]]]);
});

test("accepts chunks of at most 16 MiB", async () => {
  const [largest, larger] = [16 * MIB, 16 * MIB + 1].map((size) => ({
    digest: digestOf(utf8(`${size}`)),
    bytes: new Uint8Array(size),
  }));
  if (!largest || !larger) throw new Error("there are two");
  await expect(store.put([largest, larger], [])).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
  expect(objects.objects.size).toBe(0);
  await store.put([largest], []);
  expect((await store.getChunks([largest.digest]))[0]).toHaveLength(16 * MIB);
  objects.objects.set(keyOf("chunks", larger.digest), compressZstd(larger.bytes));
  await expect(store.getChunks([larger.digest])).rejects.toMatchObject(CORRUPT);
});

test("reports objects that are no chunk or chunk list, or are too large, as corrupt", async () => {
  const spoil = (kind: string, bytes: Uint8Array) => objects.objects.set(keyOf(kind, whole), bytes);
  for (const bytes of [new Uint8Array(0), utf8("no zstd"), new Uint8Array(16 * MIB + MIB / 8 + 1)]) {
    spoil("chunks", bytes);
    await expect(store.getChunks([whole])).rejects.toMatchObject(CORRUPT);
  }
  for (const bytes of [new Uint8Array([0x12, 4, 0x0a, 2, 1, 2]), new Uint8Array(64 * MIB + 1)]) {
    spoil("blobs", bytes);
    await expect(store.getBlobs([whole])).rejects.toMatchObject(CORRUPT);
  }
});

test("replaces damaged chunks and chunk lists when they are put again, and leaves the others", async () => {
  const blobs = [{ digest: whole, chunks: list }];
  await store.put(chunks, blobs);
  const good = new Map(objects.objects);
  const damages: ((bytes: Uint8Array) => Uint8Array)[] = [
    (bytes) => bytes.subarray(0, -1),
    (bytes) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)),
    () => compressZstd(utf8("other")),
    () => new Uint8Array(64 * MIB + 1),
    () => new Uint8Array(0),
  ];
  for (const damage of damages) {
    for (const key of [keyOf("chunks", digestOf(one)), keyOf("blobs", whole)]) {
      objects.objects.set(key, damage(good.get(key) as Uint8Array));
      const putMany = vi.spyOn(objects, "putMany");
      await store.put(chunks, blobs);
      expect(putMany.mock.calls.flatMap(([groups]) => groups.flatMap((group) => [...group.keys()]))).toEqual([key]);
      putMany.mockRestore();
      expect(objects.objects).toEqual(good);
    }
  }
});
