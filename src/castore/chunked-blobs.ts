import { concatBytes, EMPTY_BYTES, equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashEngine, HashStream } from "../hash/engine.ts";
import { checkedRange } from "../hash/group-tree.ts";
import { MIN_CHUNK_SIZE } from "../hash/kernel/sizes.ts";
import { OUTBOARD_VERSION, type Outboard, outboardOf } from "../hash/outboard.ts";
import { RecycledBuffers } from "../hash/recycled-buffers.ts";
import { VerifiedRange } from "../hash/verified-range.ts";
import { onAbort } from "../on-abort.ts";
import { streamOf } from "../stream.ts";
import {
  type BlobService,
  type BlobStat,
  type BlobWriter,
  type ChunkMeta,
  type CreateBlobOptions,
  type PutManyOptions,
  type ReadBlobOptions,
  type ReadManyOptions,
  SMALL_BLOB_LIMIT,
  type StatBlobOptions,
} from "./blob-service.ts";
import { coveringChunks, sizeOfChunks } from "./chunk-list.ts";
import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "./chunk-store.ts";
import { ChunkedBlobWriter, type CutContent } from "./chunked-blob-writer.ts";
import { asDigest, type Digest, EMPTY_DIGEST, formatDigest } from "./digest.ts";
import { checkExpected } from "./expected-digest.ts";
import { Outboards } from "./outboards.ts";

/** Bytes of idle buffers that are kept for the next blobs. */
const RECYCLED = 16 * 1024 * 1024;

/**
 * A BlobService on top of a ChunkStore. It cuts and hashes the bytes that are written, and checks
 * the bytes that are read.
 */
export class ChunkedBlobService implements BlobService {
  #store: ChunkStore;
  #engine: HashEngine;
  #outboards: Outboards;
  readonly #buffers = new RecycledBuffers(RECYCLED);

  constructor(store: ChunkStore, engine: HashEngine) {
    this.#store = store;
    this.#engine = engine;
    this.#outboards = new Outboards(engine);
  }

  async stat(digests: readonly Digest[], options: StatBlobOptions = {}): Promise<(BlobStat | undefined)[]> {
    options.signal?.throwIfAborted();
    const entries = await this.#store.getBlobs(digests);
    const unknown = digests.filter((_, i) => !entries[i]);
    const present = unknown.length > 0 ? await this.#store.hasChunks(unknown) : [];
    const stats: (BlobStat | undefined)[] = [];
    for (const [i, digest] of digests.entries()) {
      const entry = entries[i];
      if (!entry && !present.shift() && !isEmpty(digest)) {
        stats.push(undefined);
        continue;
      }
      const chunks = isLong(entry) ? entry.chunks : [];
      if (!options.outboard) {
        stats.push({ chunks });
        continue;
      }
      const outboard = await this.#outboard(digest, entry, options.signal);
      stats.push(outboard && { chunks, outboard });
    }
    return stats;
  }

  async open(digest: Digest, options: ReadBlobOptions = {}): Promise<ReadableStream<Uint8Array> | undefined> {
    const { signal, offset = 0, length = Number.POSITIVE_INFINITY } = options;
    signal?.throwIfAborted();
    checkedRange({ offset, length });
    const unverified = options.unverified && offset === 0 && length === Number.POSITIVE_INFINITY;
    const [entry] = await this.#store.getBlobs([digest]);
    if (isLong(entry)) {
      if (unverified) return streamOf(this.#unverified(digest, entry.chunks, signal));
      // With an outboard, one pass over the content is enough, and each byte is verified before it
      // is handed out.
      if (offset === 0 && length >= sizeOfChunks(entry.chunks) && !outboardOfOurs(entry))
        return this.#wholeStream(digest, entry.chunks, signal);
      const outboard = await this.#longOutboard(digest, entry, signal);
      return streamOf(this.#range(digest, entry.chunks, new VerifiedRange(outboard, digest, { offset, length }), signal));
    }
    const [bytes] = await this.readMany([digest], { unverified });
    if (!bytes) return undefined;
    return new ReadableStream<Uint8Array>({
      start(controller) {
        const range = bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + length, bytes.length));
        if (range.length > 0) controller.enqueue(range);
        controller.close();
      },
    });
  }

  async readMany(digests: readonly Digest[], options: ReadManyOptions = {}): Promise<(Uint8Array | undefined)[]> {
    options.signal?.throwIfAborted();
    // Most small blobs are one chunk, which has the blob's digest. A blob that is not found as a
    // chunk may have a chunk list.
    const answer = await this.#readChunks(digests, options.unverified);
    const others = [...digests.keys()].filter((i) => !answer[i]);
    if (others.length === 0) return answer;
    const entries = await this.#store.getBlobs(others.map((i) => digests[i] as Digest));
    for (const [at, i] of others.entries()) {
      const entry = entries[at];
      if (isLong(entry)) answer[i] = await this.#readWhole(digests[i] as Digest, entry.chunks, options.unverified);
    }
    return answer;
  }

  async create(options: CreateBlobOptions = {}): Promise<BlobWriter> {
    options.signal?.throwIfAborted();
    return ChunkedBlobWriter.open(this.#store, this.#engine, this.#buffers, options);
  }

  async putMany(blobs: readonly Uint8Array[], options: PutManyOptions = {}): Promise<Digest[]> {
    const { expected, signal } = options;
    signal?.throwIfAborted();
    const small = blobs.filter(isOneChunk);
    const smallDigests = await this.#engine.blake3Many(small);
    const digests: Digest[] = [];
    const chunks: StoredChunk[] = [];
    const stored: StoredBlob[] = [];
    for (const bytes of blobs) {
      if (isOneChunk(bytes)) {
        const digest = asDigest(smallDigests.shift() ?? EMPTY_DIGEST);
        digests.push(digest);
        if (bytes.length === 0) continue;
        chunks.push({ digest, bytes });
        stored.push({ digest, chunks: [] });
      } else {
        const cut = await this.#cut(bytes, signal);
        digests.push(cut.blob.digest);
        chunks.push(...cut.chunks);
        stored.push(cut.blob);
      }
    }
    for (const [i, digest] of digests.entries()) checkExpected(digest, expected?.[i]);
    signal?.throwIfAborted();
    await this.#store.put(chunks, stored);
    return digests;
  }

  async #cut(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<CutContent> {
    const writer = await ChunkedBlobWriter.open(this.#store, this.#engine, this.#buffers, { signal });
    try {
      await writer.write(bytes);
      return await writer.cut();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** The blob's outboard, checked against `digest`; `undefined` if the content is missing. */
  async #outboard(digest: Digest, entry: BlobEntry | undefined, signal: AbortSignal | undefined): Promise<Outboard | undefined> {
    if (isLong(entry)) return this.#longOutboard(digest, entry, signal);
    const [bytes] = await this.readMany([digest]);
    return bytes && outboardOf(bytes).outboard;
  }

  async #longOutboard(digest: Digest, entry: BlobEntry, signal: AbortSignal | undefined): Promise<Outboard> {
    const outboard = await this.#outboards.get(digest, outboardOfOurs(entry), async () =>
      this.#wholeStream(digest, entry.chunks, signal),
    );
    if (outboard.size !== sizeOfChunks(entry.chunks)) throw corruptList(digest);
    return outboard;
  }

  /** Reads chunks and, unless `unverified` is set, checks each against its own digest. */
  async #readChunks(digests: readonly Digest[], unverified = false): Promise<(Uint8Array | undefined)[]> {
    if (digests.length === 0) return [];
    const chunks = await this.#store.getChunks(digests);
    if (unverified) return chunks.map((chunk, i) => chunk ?? (isEmpty(digests[i] as Digest) ? EMPTY_BYTES : undefined));
    const found = chunks.filter((chunk) => chunk !== undefined);
    const hashes = await this.#engine.blake3Many(found);
    let next = 0;
    return digests.map((digest, i) => {
      const chunk = chunks[i];
      if (!chunk) return isEmpty(digest) ? EMPTY_BYTES : undefined;
      if (!equalBytes(hashes[next++] as Uint8Array, digest))
        throw new StoreError("corrupt", `stored chunk ${formatDigest(digest)} is damaged: its bytes don't match its digest`);
      return chunk;
    });
  }

  async #readWhole(digest: Digest, list: readonly ChunkMeta[], unverified = false): Promise<Uint8Array> {
    const size = sizeOfChunks(list);
    if (size > SMALL_BLOB_LIMIT)
      throw new StoreError(
        "invalid",
        `can't read blob ${formatDigest(digest)} at once: it has ${size} bytes, more than ${SMALL_BLOB_LIMIT}`,
      );
    const chunks = await this.#store.getChunks(list.map((chunk) => chunk.digest));
    const parts = list.map((chunk, i) => checkListed(digest, chunk, chunks[i]));
    const bytes = concatBytes(parts);
    if (unverified) return bytes;
    const [hash] = await this.#engine.blake3Many([bytes]);
    if (!equalBytes(hash as Uint8Array, digest)) throw corruptList(digest);
    return bytes;
  }

  /**
   * Streams a range of a blob. The hash tree verifies the bytes, so the chunks need no check of
   * their own.
   */
  async *#range(
    digest: Digest,
    list: readonly ChunkMeta[],
    range: VerifiedRange,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    for (const { chunk, start } of coveringChunks(list, range.start, range.end)) {
      signal?.throwIfAborted();
      const [found] = await this.#store.getChunks([chunk.digest]);
      signal?.throwIfAborted();
      const bytes = checkListed(digest, chunk, found);
      const needed = bytes.subarray(Math.max(range.start - start, 0), Math.min(range.end - start, bytes.length));
      yield* joinAdjacent(range.push(needed));
    }
    range.finish();
  }

  async *#unverified(digest: Digest, list: readonly ChunkMeta[], signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    for (const chunk of list) {
      signal?.throwIfAborted();
      const [found] = await this.#store.getChunks([chunk.digest]);
      signal?.throwIfAborted();
      yield checkListed(digest, chunk, found);
    }
  }

  /**
   * Streams all of a blob that has no outboard. Each chunk is checked against its own digest. The
   * blob's digest does not cover the chunk list, so the digest of the whole content is checked too,
   * before the last chunk is handed out.
   */
  #wholeStream(digest: Digest, list: readonly ChunkMeta[], signal: AbortSignal | undefined): ReadableStream<Uint8Array> {
    let hash: HashStream | undefined;
    let index = 0;
    // The stream may have no reader left after an abort, so nothing else would release the hash.
    const unlink = onAbort(signal, () => hash?.abort());
    const end = (): void => {
      unlink();
      hash?.abort();
    };
    const read = async (): Promise<Uint8Array | undefined> => {
      const chunk = list[index++];
      if (!chunk) return undefined;
      const [found] = await this.#readChunks([chunk.digest]);
      signal?.throwIfAborted();
      const bytes = checkListed(digest, chunk, found);
      hash ??= await this.#engine.stream("blake3");
      await hash.update(bytes);
      if (index === list.length && !equalBytes(await hash.digest(), digest)) throw corruptList(digest);
      return bytes;
    };
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            signal?.throwIfAborted();
            const bytes = await read();
            if (bytes) return controller.enqueue(bytes);
            end();
            controller.close();
          } catch (error) {
            end();
            controller.error(error);
          }
        },
        cancel: end,
      },
      { highWaterMark: 0 },
    );
  }
}

/**
 * Joins pieces that lie next to each other in one buffer: a single group is too small to pass on
 * efficiently.
 */
function joinAdjacent(pieces: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (last?.buffer === piece.buffer && last.byteOffset + last.length === piece.byteOffset) {
      joined[joined.length - 1] = new Uint8Array(piece.buffer, last.byteOffset, last.length + piece.length);
    } else {
      joined.push(piece);
    }
  }
  return joined;
}

/** Whether a blob is so short that it is one chunk whatever its content. */
function isOneChunk(bytes: Uint8Array): boolean {
  return bytes.length <= MIN_CHUNK_SIZE;
}

function isLong(entry: BlobEntry | undefined): entry is BlobEntry {
  return entry !== undefined && entry.chunks.length > 1;
}

/**
 * The encoded outboard, if it is in our format. Other programs may store another encoding in the
 * same field; it is ignored.
 */
function outboardOfOurs({ bao }: BlobEntry): Uint8Array | undefined {
  return bao?.[0] === OUTBOARD_VERSION ? bao : undefined;
}

/**
 * Checks that a listed chunk of `blob` exists and has the listed size.
 *
 * @throws StoreError `corrupt` if the chunk is missing or has another size
 */
function checkListed(blob: Digest, { digest, size }: ChunkMeta, bytes: Uint8Array | undefined): Uint8Array {
  if (!bytes) throw new StoreError("corrupt", `chunk ${formatDigest(digest)} of blob ${formatDigest(blob)} is missing`);
  if (bytes.length === size) return bytes;
  throw new StoreError(
    "corrupt",
    `chunk ${formatDigest(digest)} of blob ${formatDigest(blob)} has ${bytes.length} bytes, but the blob's chunk list says ${size}`,
  );
}

function isEmpty(digest: Digest): boolean {
  return equalBytes(digest, EMPTY_DIGEST);
}

function corruptList(digest: Digest): StoreError {
  return new StoreError("corrupt", `the chunks listed for blob ${formatDigest(digest)} don't match the blob's digest`);
}
