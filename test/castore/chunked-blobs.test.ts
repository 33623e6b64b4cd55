import { beforeEach, describe, expect, test, vi } from "vitest";
import { MemoryChunkStore } from "../../src/backends/memory.ts";
import { equalBytes } from "../../src/bytes.ts";
import { type ChunkMeta, type ReadBlobOptions, SMALL_BLOB_LIMIT } from "../../src/castore/blob-service.ts";
import type { BlobEntry } from "../../src/castore/chunk-store.ts";
import { ChunkedBlobService } from "../../src/castore/chunked-blobs.ts";
import { type Digest, digestKey, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { HashEngine } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { checkOutboard, decodeOutboard, encodeOutboard } from "../../src/hash/outboard.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";

const content = pseudoRandom(3_000_000, 31);
const range = { offset: 1_500_000, length: 10_000 };

let store: MemoryChunkStore;
let digest: Digest;

beforeEach(async () => {
  store = new MemoryChunkStore();
  const writer = await service().create();
  await writer.write(content);
  digest = (await writer.close()).digest;
});

/** Returns a new service each time, because a service remembers what it has checked. */
function service(): ChunkedBlobService {
  return new ChunkedBlobService(store, new InlineHashEngine());
}

function entry(): BlobEntry {
  return store.blobs.get(digestKey(digest)) as BlobEntry;
}

async function expectRange(): Promise<void> {
  const read = await readAll(await service().open(digest, range));
  expect(equalBytes(read ?? new Uint8Array(0), content.subarray(range.offset, range.offset + range.length))).toBe(true);
}

async function expectCorrupt(): Promise<void> {
  const read = async (): Promise<unknown> => readAll(await service().open(digest, range));
  await expect(read()).rejects.toMatchObject({ code: "corrupt" });
}

describe("a range of a stored blob", () => {
  test("is checked against the outboard that was stored with it", async () => {
    checkOutboard(decodeOutboard(entry().bao ?? new Uint8Array(0)), digest);
    await expectRange();
  });

  test("is refused if its chunk is damaged", async () => {
    let position = 0;
    for (const { digest: chunk, size } of entry().chunks) {
      const bytes = store.chunks.get(digestKey(chunk));
      if (position <= range.offset && range.offset < position + size && bytes) {
        const at = range.offset - position;
        bytes[at] = (bytes[at] as number) ^ 4;
      }
      position += size;
    }
    await expectCorrupt();
  });

  test("is refused if the chunks belong to another blob", async () => {
    const { chunks, bao } = entry();
    store.blobs.set(digestKey(digest), { chunks: [...chunks].reverse(), bao });
    await expectCorrupt();
  });

  test("is refused if the outboard belongs to another blob", async () => {
    const { chunks, bao = new Uint8Array(0) } = entry();
    const spoilt = [1, 3, 9, 16, 100, bao.length - 1].map((at) => {
      const bytes = bao.slice();
      bytes[at] = (bytes[at] as number) ^ 1;
      return bytes;
    });
    for (const bytes of [...spoilt, bao.subarray(0, -1)]) {
      store.blobs.set(digestKey(digest), { chunks, bao: bytes });
      await expectCorrupt();
    }
  });

  test("is checked too if another program wrote the blob without an outboard", async () => {
    const { chunks, bao } = entry();
    store.blobs.set(digestKey(digest), { chunks });
    await expectRange();
    const [stat] = await service().stat([digest], { outboard: true });
    expect(stat?.outboard && equalBytes(encodeOutboard(stat.outboard), bao ?? new Uint8Array(0))).toBe(true);

    store.blobs.set(digestKey(digest), { chunks: [...chunks].reverse() });
    await expectCorrupt();

    // Some programs keep other data in the field for the outboard.
    store.blobs.set(digestKey(digest), { chunks, bao: new Uint8Array([2, 3, 4]) });
    await expectRange();
    expect(equalBytes((await readAll(await service().open(digest))) ?? new Uint8Array(0), content)).toBe(true);
  });

  test("is missing if the blob's only chunk is missing, and so is the outboard", async () => {
    const [small] = await service().putMany([content.subarray(0, 1000)]);
    store.chunks.delete(digestKey(small as Digest));
    expect(await service().open(small as Digest, range)).toBeUndefined();
    expect(await service().stat([small as Digest], { outboard: true })).toEqual([undefined]);
  });

  test("is refused if no blob can have it", async () => {
    for (const bad of [{ offset: -1 }, { offset: 0.5 }, { offset: Number.NaN }, { offset: 1, length: -1 }]) {
      await expect(service().open(digest, bad)).rejects.toMatchObject({ code: "invalid" });
      await expect(service().open(EMPTY_DIGEST, bad)).rejects.toMatchObject({ code: "invalid" });
    }
  });
});

describe("a blob that is read whole", () => {
  const damaged = { code: "corrupt" };
  /** Short enough for `readMany`, and more than one chunk. */
  const whole = content.subarray(0, 1_000_000);

  beforeEach(async () => {
    [digest] = (await service().putMany([whole])) as [Digest];
  });

  const read = async (options?: ReadBlobOptions): Promise<Uint8Array | undefined> => readAll(await service().open(digest, options));

  /** Changes one byte in the middle of the blob. */
  function damage(): Uint8Array {
    const { chunks } = entry();
    const bytes = store.chunks.get(digestKey(chunks[1]?.digest as Digest)) as Uint8Array;
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] as number) ^ 4;
    const changed = whole.slice();
    changed[(chunks[0]?.size as number) + at] = bytes[at] as number;
    return changed;
  }

  test("is refused if a chunk is damaged, however it is read", async () => {
    damage();
    await expect(read()).rejects.toMatchObject(damaged);
    await expect(service().readMany([digest])).rejects.toMatchObject(damaged);
    store.blobs.set(digestKey(digest), { chunks: entry().chunks });
    await expect(read()).rejects.toMatchObject(damaged);
  });

  test("is refused if it is one damaged chunk", async () => {
    const [small] = (await service().putMany([content.subarray(0, 1000)])) as [Digest];
    store.chunks.set(digestKey(small), content.slice(1, 1001));
    await expect(service().readMany([small])).rejects.toMatchObject(damaged);
    await expect(service().open(small)).rejects.toMatchObject(damaged);
    expect(await service().readMany([small], { unverified: true })).toEqual([content.slice(1, 1001)]);
  });

  test("is not checked if the caller checks it, unless only a range is read", async () => {
    const changed = damage();
    expect(equalBytes((await read({ unverified: true })) ?? new Uint8Array(0), changed)).toBe(true);
    const [together] = await service().readMany([digest], { unverified: true });
    expect(equalBytes(together ?? new Uint8Array(0), changed)).toBe(true);
    const { size } = entry().chunks[0] as ChunkMeta;
    for (const part of [{ offset: 1 }, { offset: size, length: whole.length - size }, { length: whole.length - 1 }])
      await expect(read({ ...part, unverified: true })).rejects.toMatchObject(damaged);
  });

  test("is refused if its list has the chunks of another blob", async () => {
    const { chunks, bao } = entry();
    for (const list of [[...chunks].reverse(), chunks.slice(1)]) {
      for (const spoilt of [{ chunks: list }, { chunks: list, bao }]) {
        store.blobs.set(digestKey(digest), spoilt);
        await expect(read()).rejects.toMatchObject(damaged);
        await expect(service().readMany([digest])).rejects.toMatchObject(damaged);
      }
    }
  });

  test("is refused if a listed chunk is missing or has another length, even unverified", async () => {
    const { chunks } = entry();
    const [first, second] = chunks.map((chunk) => digestKey(chunk.digest)) as [string, string];
    const bytes = store.chunks.get(first) as Uint8Array;
    store.chunks.set(first, bytes.slice(1));
    for (const unverified of [true, false]) {
      await expect(read({ unverified })).rejects.toMatchObject(damaged);
      await expect(service().readMany([digest], { unverified })).rejects.toMatchObject(damaged);
    }
    store.chunks.set(first, bytes);
    store.chunks.delete(second);
    for (const unverified of [true, false]) {
      await expect(read({ unverified })).rejects.toMatchObject(damaged);
      await expect(service().readMany([digest], { unverified })).rejects.toMatchObject(damaged);
    }
  });

  test("can't be read at once if it is long", async () => {
    const chunks = [...entry().chunks, { digest: digestOf(content), size: SMALL_BLOB_LIMIT }];
    store.blobs.set(digestKey(digest), { chunks });
    await expect(service().readMany([digest])).rejects.toMatchObject({ code: "invalid" });
  });

  test.each(["abort", "cancel"] as const)("releases its hash after %s", async (how) => {
    store.blobs.set(digestKey(digest), { chunks: entry().chunks });
    const engine = new InlineHashEngine();
    const streams = vi.spyOn(engine, "stream");
    const controller = new AbortController();
    const reader = (await new ChunkedBlobService(store, engine).open(digest, { signal: controller.signal }))?.getReader();
    await reader?.read();
    const hash = await (streams.mock.results[0]?.value as ReturnType<HashEngine["stream"]>);
    const released = vi.spyOn(hash, "abort");
    if (how === "abort") controller.abort(new Error("enough"));
    else await reader?.cancel();
    expect(released).toHaveBeenCalled();
  });
});

describe("blobs that are put together", () => {
  test("are not stored if one has another digest than expected, or the signal was aborted", async () => {
    const blobs = [content.subarray(0, 10), content.subarray(0, 200_000)];
    const digests = blobs.map(digestOf);
    const before = store.chunks.size;
    const other = digestOf(content.subarray(1));
    for (const expected of [
      [other, digests[1] as Digest],
      [digests[0] as Digest, other],
    ])
      await expect(service().putMany(blobs, { expected })).rejects.toMatchObject({ code: "corrupt" });
    await expect(service().putMany(blobs, { signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow("stop");
    expect(store.chunks.size).toBe(before);
    expect(await service().putMany(blobs, { expected: digests })).toEqual(digests);
    expect((await service().readMany(digests)).map((bytes) => bytes?.length)).toEqual([10, 200_000]);
  });

  test("leave out the empty one, which every store has", async () => {
    const before = store.chunks.size;
    expect(await service().putMany([new Uint8Array(0)])).toEqual([EMPTY_DIGEST]);
    expect(store.chunks.size).toBe(before);
    for (const options of [{}, { unverified: true }])
      expect(await service().readMany([EMPTY_DIGEST, digestOf(Uint8Array.of(1))], options)).toEqual([new Uint8Array(0), undefined]);
    expect(await service().stat([EMPTY_DIGEST])).toEqual([{ chunks: [] }]);
  });
});

describe("outboards", () => {
  test("of blobs of any length match their digests", async () => {
    const blobs = [0, 1, 16_384, 16_385, 131_072, 131_073, 900_000].map((length) => content.subarray(0, length));
    const digests = await service().putMany(blobs);
    expect(digests).toEqual(blobs.map(digestOf));
    const stats = await service().stat(digests, { outboard: true });
    for (const [i, stat] of stats.entries()) {
      expect(stat?.outboard?.size).toBe(blobs[i]?.length);
      if (stat?.outboard) checkOutboard(stat.outboard, digests[i] as Digest);
    }
    expect(await service().stat([digestOf(new Uint8Array(5))], { outboard: true })).toEqual([undefined]);
  });

  test("are made only on request", async () => {
    const { chunks } = entry();
    store.blobs.set(digestKey(digest), { chunks });
    store.chunks.clear();
    expect(await service().stat([digest])).toEqual([{ chunks }]);
  });
});

test("a file of 100 MiB and a version with 1 KiB inserted near its start share all but a few chunks", async () => {
  const size = 100 * 1024 * 1024;
  const file = pseudoRandom(size, 17);
  const write = async (...parts: Uint8Array[]): Promise<string[]> => {
    const writer = await service().create();
    for (const part of parts) await writer.write(part);
    const [stat] = await service().stat([(await writer.close()).digest]);
    return (stat?.chunks ?? []).map((chunk) => digestKey(chunk.digest));
  };
  const before = await write(file);
  const after = await write(file.subarray(0, 300_000), pseudoRandom(1024, 18), file.subarray(300_000));
  expect(before.length).toBeGreaterThan(300);
  expect(after.filter((chunk) => !before.includes(chunk)).length).toBeLessThanOrEqual(3);
});
