import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import type { BlobService, ChunkMeta } from "../../src/castore/blob-service.ts";
import { digestKey, digestOf } from "../../src/castore/digest.ts";
import { missingBytes, openReusingChunks } from "../../src/store/reused-chunks.ts";
import { streamOf } from "../../src/stream.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { failure } from "./fixtures.ts";

const CHUNKS = Array.from({ length: 11 }, (_, i) => pseudoRandom(100 + i, i + 1));
const CONTENT = concatBytes(CHUNKS);
const BLOB = { digest: digestOf(CONTENT), size: BigInt(CONTENT.length) };
const LIST: readonly ChunkMeta[] = CHUNKS.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length }));
const { signal } = new AbortController();

interface FakeBlobs {
  readonly blobs: BlobService;
  /** Indices of the chunks that were read in each call of `readMany`. */
  readonly reads: number[][];
  /** Offsets from which the whole blob was opened. */
  readonly opened: number[];
  /** Number of digests in each call of `stat`. */
  readonly asked: number[];
  /** Signals of all calls. */
  readonly signals: (AbortSignal | undefined)[];
}

/** A service with some of the chunks, and with the blob if it has a list of chunks. */
function service(has: readonly number[], list?: readonly ChunkMeta[], serves = has): FakeBlobs {
  const reads: number[][] = [];
  const opened: number[] = [];
  const asked: number[] = [];
  const signals: (AbortSignal | undefined)[] = [];
  const indexOf = (digest: Uint8Array): number => LIST.findIndex((chunk) => chunk.digest.join() === digest.join());
  const refuse = async (): Promise<never> => {
    throw new Error("nothing is written here");
  };
  const blobs: BlobService = {
    async stat(digests, options) {
      signals.push(options?.signal);
      asked.push(digests.length);
      return digests.map((digest) => {
        if (digestKey(digest) === digestKey(BLOB.digest)) return list && { chunks: list };
        return has.includes(indexOf(digest)) ? { chunks: [] } : undefined;
      });
    },
    async readMany(digests, options) {
      signals.push(options?.signal);
      reads.push(digests.map(indexOf));
      return digests.map((digest) => (serves.includes(indexOf(digest)) ? CHUNKS[indexOf(digest)] : undefined));
    },
    async open(_digest, { offset = 0, signal } = {}) {
      signals.push(signal);
      if (!list) return undefined;
      opened.push(offset);
      return streamOf(
        (async function* () {
          yield CONTENT.subarray(offset);
        })(),
      );
    },
    create: refuse,
    putMany: refuse,
  };
  return { blobs, reads, opened, asked, signals };
}

const all = [...CHUNKS.keys()];

async function read(from: FakeBlobs, to: FakeBlobs) {
  const blob = await openReusingChunks(from.blobs, to.blobs, BLOB, signal);
  if (!blob) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of blob.content) parts.push(part);
  return { bytes: concatBytes(parts), reused: blob.reused() };
}

const lengthOf = (indices: readonly number[]): number => indices.reduce((sum, i) => sum + (CHUNKS[i] as Uint8Array).length, 0);

describe("a blob whose chunks the target has in part", () => {
  test.each<[string, number[], number[][], number[][]]>([
    [
      "the first",
      [0],
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10],
      ],
      [[0]],
    ],
    [
      "the last",
      [10],
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
      ],
      [[10]],
    ],
    ["some in the middle", [2, 3, 4, 5, 6, 8], [[0, 1], [7], [9, 10]], [[2, 3, 4, 5], [6], [8]]],
    [
      "all",
      all,
      [],
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10],
      ],
    ],
  ])("is read in batches of four chunks, each from the store that has it: %s", async (_, has, atSource, atTarget) => {
    const from = service(all, LIST);
    const to = service(has);
    expect(await read(from, to)).toEqual({ bytes: CONTENT, reused: lengthOf(has) });
    expect(from.reads).toEqual(atSource);
    expect(to.reads).toEqual(atTarget);
    expect(from.opened).toEqual([]);
    expect(await missingBytes(from.blobs, to.blobs, BLOB, undefined)).toBe(CONTENT.length - lengthOf(has));
  });

  test("is read from the source as a stream if the target has none", async () => {
    const from = service(all, LIST);
    const to = service([]);
    expect(await read(from, to)).toEqual({ bytes: CONTENT, reused: 0 });
    expect([from.reads, to.reads, from.opened]).toEqual([[], [], [0]]);
    expect(await missingBytes(from.blobs, to.blobs, BLOB, undefined)).toBe(CONTENT.length);
  });

  const LIMIT = 1024 * 1024;
  const listed = (...sizes: number[]): ChunkMeta[] => sizes.map((size, i) => ({ digest: digestOf(utf8(`${i}`)), size }));
  test.each<[string, number, readonly ChunkMeta[]]>([
    ["is empty", CONTENT.length, []],
    ["is too short", CONTENT.length, LIST.slice(1)],
    ["has a chunk of more than 1 MiB", LIMIT + 2, listed(1, LIMIT + 1)],
  ])("is read from the source as a stream if the source's list %s", async (_, size, list) => {
    const from = service(all, list);
    const to = service(all);
    const blob = await openReusingChunks(from.blobs, to.blobs, { ...BLOB, size: BigInt(size) }, signal);
    for await (const part of blob?.content ?? []) expect(part).toEqual(CONTENT);
    expect([to.reads, from.opened, to.asked]).toEqual([[], [0], []]);
    expect(await missingBytes(from.blobs, to.blobs, { ...BLOB, size: BigInt(size) }, undefined)).toBe(size);
  });

  test("may have chunks of 1 MiB", async () => {
    const to = service([]);
    await missingBytes(service([], listed(1, LIMIT)).blobs, to.blobs, { ...BLOB, size: BigInt(LIMIT + 1) }, undefined);
    expect(to.asked).toEqual([2]);
  });

  test("is read with requests that an abort ends", async () => {
    for (const [from, to] of [
      [service(all, LIST), service([0])],
      [service(all, LIST), service([])],
      [service(all, LIST), service([0, 1], undefined, [0])],
    ] as const) {
      await read(from, to);
      expect(new Set([...from.signals, ...to.signals])).toEqual(new Set([signal]));
    }
  });

  test("is missing if the source does not have it", async () => {
    const from = service([]);
    expect(await read(from, service(all))).toBeUndefined();
    expect(await missingBytes(from.blobs, service(all).blobs, BLOB, undefined)).toBe(CONTENT.length);
  });

  test("is continued from the source where the target has lost a chunk meanwhile", async () => {
    const from = service(all, LIST);
    const to = service([0, 1, 2, 5, 6], undefined, [0, 1, 2, 6]);
    expect(await read(from, to)).toEqual({ bytes: CONTENT, reused: lengthOf([0, 1, 2]) });
    expect(from.opened).toEqual([lengthOf([0, 1, 2, 3, 4])]);
  });

  test("is continued as a stream if the source lists a chunk that it does not serve", async () => {
    const from = service(all, LIST, [1, 2]);
    expect(await read(from, service([0]))).toEqual({ bytes: CONTENT, reused: lengthOf([0]) });
    expect(from.opened).toEqual([lengthOf([0, 1, 2])]);
  });

  test("is not found if the source loses it meanwhile", async () => {
    const from = service(all, LIST, []);
    from.blobs.open = async () => undefined;
    expect(await failure(read(from, service([0])))).toMatchObject({ code: "not-found" });
  });

  test("is corrupt if a chunk has another length than the list says", async () => {
    const list = LIST.map((chunk, i) => ({ ...chunk, size: chunk.size + (i === 3 ? 1 : i === 4 ? -1 : 0) }));
    expect(await failure(read(service(all, list), service([0])))).toMatchObject({ code: "corrupt" });
  });
});

test("the target is asked for 1024 chunks at a time", async () => {
  const list = Array.from({ length: 2050 }, (_, i) => ({ digest: digestOf(utf8(String(i))), size: 1 }));
  const to = service([]);
  expect(await missingBytes(service([], list).blobs, to.blobs, { ...BLOB, size: 2050n }, undefined)).toBe(2050);
  expect(to.asked).toEqual([1024, 1024, 2]);
});
