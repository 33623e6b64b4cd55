import { concatBytes, EMPTY_BYTES, equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashEngine, HashStream } from "../hash/engine.ts";
import { MAX_CHUNK_SIZE, MIN_CHUNK_SIZE } from "../hash/kernel/kernel.ts";
import {
  type BlobService,
  type BlobStat,
  type BlobWriter,
  type ChunkMeta,
  type ReadBlobOptions,
  SMALL_BLOB_LIMIT,
} from "./blob-service.ts";
import type { ChunkStore, StoredBlob, StoredChunk } from "./chunk-store.ts";
import { cut, cutAll } from "./chunker.ts";
import { asDigest, type Digest, EMPTY_DIGEST, formatDigest } from "./digest.ts";

/** Chunks are handed to the store in batches of this many bytes, at most. */
const WRITE_BATCH = 4 * 1024 * 1024;

/** A BlobService on top of a ChunkStore: cuts and hashes what goes in, and checks what comes out. */
export class ChunkedBlobService implements BlobService {
  #store: ChunkStore;
  #engine: HashEngine;

  constructor(store: ChunkStore, engine: HashEngine) {
    this.#store = store;
    this.#engine = engine;
  }

  async stat(digests: readonly Digest[], options?: { signal?: AbortSignal | undefined }): Promise<(BlobStat | undefined)[]> {
    options?.signal?.throwIfAborted();
    const lists = await this.#store.getChunkLists(digests);
    const unknown = digests.filter((_, i) => !lists[i]);
    const present = unknown.length > 0 ? await this.#store.hasChunks(unknown) : [];
    let next = 0;
    return digests.map((digest, i) => {
      const chunks = lists[i];
      if (chunks) return { chunks: chunks.length > 1 ? chunks : [] };
      return present[next++] || isEmpty(digest) ? { chunks: [] } : undefined;
    });
  }

  async open(digest: Digest, options: ReadBlobOptions = {}): Promise<ReadableStream<Uint8Array> | undefined> {
    const { signal, offset = 0, length = Number.POSITIVE_INFINITY } = options;
    signal?.throwIfAborted();
    const [list] = await this.#store.getChunkLists([digest]);
    if (list && list.length > 1) return this.#stream(digest, list, offset, length, signal);
    const [bytes] = await this.readMany([digest]);
    if (!bytes) return undefined;
    return new ReadableStream<Uint8Array>({
      start(controller) {
        const range = bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + length, bytes.length));
        if (range.length > 0) controller.enqueue(range);
        controller.close();
      },
    });
  }

  async readMany(digests: readonly Digest[], options?: { signal?: AbortSignal | undefined }): Promise<(Uint8Array | undefined)[]> {
    options?.signal?.throwIfAborted();
    const lists = await this.#store.getChunkLists(digests);
    // Blobs of one chunk, and chunks asked for by their own digests, are one batch; what consists of several chunks is another.
    const blobs = await this.#readChunks(digests.filter((_, i) => (lists[i]?.length ?? 0) <= 1));
    const answer: (Uint8Array | undefined)[] = [];
    for (const [i, digest] of digests.entries()) {
      const list = lists[i];
      if (!list || list.length <= 1) answer.push(blobs.shift());
      else answer.push(await this.#readWhole(digest, list));
    }
    return answer;
  }

  async create(options?: { signal?: AbortSignal | undefined }): Promise<BlobWriter> {
    options?.signal?.throwIfAborted();
    return new ChunkedBlobWriter(this.#store, this.#engine, await this.#engine.stream("blake3"), options?.signal);
  }

  async putMany(blobs: readonly Uint8Array[], options?: { signal?: AbortSignal | undefined }): Promise<Digest[]> {
    options?.signal?.throwIfAborted();
    const digests = (await this.#engine.blake3Many(blobs)).map((digest) => asDigest(digest));
    const chunks: StoredChunk[] = [];
    const stored: StoredBlob[] = [];
    for (const [i, bytes] of blobs.entries()) {
      const digest = digests[i] as Digest;
      if (bytes.length === 0) continue;
      const parts = bytes.length > MIN_CHUNK_SIZE ? cutAll(bytes) : [bytes];
      const list = parts.length > 1 ? await this.#hashChunks(parts) : [{ digest, bytes }];
      chunks.push(...list);
      stored.push({ digest, chunks: parts.length > 1 ? list.map(chunkMeta) : [] });
    }
    options?.signal?.throwIfAborted();
    await this.#store.put(chunks, stored);
    return digests;
  }

  async #hashChunks(parts: readonly Uint8Array[]): Promise<StoredChunk[]> {
    return hashChunks(this.#engine, parts);
  }

  /** Chunks by their own digests, checked. */
  async #readChunks(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    if (digests.length === 0) return [];
    const chunks = await this.#store.getChunks(digests);
    const found = chunks.filter((chunk) => chunk !== undefined);
    const hashes = await this.#engine.blake3Many(found);
    let next = 0;
    return digests.map((digest, i) => {
      const chunk = chunks[i];
      if (!chunk) return isEmpty(digest) ? EMPTY_BYTES : undefined;
      if (!equalBytes(hashes[next++] as Uint8Array, digest))
        throw new StoreError("corrupt", `stored chunk ${formatDigest(digest)} has other content`);
      return chunk;
    });
  }

  /** One chunk of `blob`, which has to be there. */
  async #readListed(blob: Digest, { digest, size }: ChunkMeta): Promise<Uint8Array> {
    const [chunk] = await this.#readChunks([digest]);
    if (!chunk) throw new StoreError("corrupt", `chunk ${formatDigest(digest)} of blob ${formatDigest(blob)} is missing`);
    if (chunk.length !== size)
      throw new StoreError(
        "corrupt",
        `chunk ${formatDigest(digest)} of blob ${formatDigest(blob)} has ${chunk.length} bytes, listed are ${size}`,
      );
    return chunk;
  }

  async #readWhole(digest: Digest, list: readonly ChunkMeta[]): Promise<Uint8Array> {
    const size = list.reduce((sum, chunk) => sum + chunk.size, 0);
    if (size > SMALL_BLOB_LIMIT)
      throw new StoreError("invalid", `blob ${formatDigest(digest)} is too large to be read at once (${size} bytes)`);
    const parts: Uint8Array[] = [];
    for (const chunk of list) parts.push(await this.#readListed(digest, chunk));
    const bytes = concatBytes(parts);
    const [hash] = await this.#engine.blake3Many([bytes]);
    if (!equalBytes(hash as Uint8Array, digest)) throw corruptList(digest);
    return bytes;
  }

  /**
   * Chunks are checked one by one. A chunk list is not what its blob's digest was taken over, so when the whole blob is read, the
   * digest is checked too, before the last chunk is handed out.
   */
  #stream(
    digest: Digest,
    list: readonly ChunkMeta[],
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): ReadableStream<Uint8Array> {
    const end = offset + length;
    const size = list.reduce((sum, chunk) => sum + chunk.size, 0);
    const whole = offset === 0 && end >= size;
    let hash: HashStream | undefined;
    let index = 0;
    let position = 0;
    const read = async (): Promise<Uint8Array | undefined> => {
      for (let chunk = list[index]; chunk && position < end; chunk = list[index]) {
        const start = position;
        position += chunk.size;
        index++;
        if (position <= offset) continue;
        const bytes = await this.#readListed(digest, chunk);
        signal?.throwIfAborted();
        if (whole) {
          hash ??= await this.#engine.stream("blake3");
          await hash.update(bytes);
          if (index === list.length && !equalBytes(await hash.digest(), digest)) throw corruptList(digest);
        }
        return bytes.subarray(Math.max(offset - start, 0), Math.min(end - start, bytes.length));
      }
      return undefined;
    };
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            signal?.throwIfAborted();
            const bytes = await read();
            if (bytes) controller.enqueue(bytes);
            else controller.close();
          } catch (error) {
            hash?.abort();
            controller.error(error);
          }
        },
        cancel() {
          hash?.abort();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

/** Holds at most a batch of chunks, in one buffer that is used over and over. */
class ChunkedBlobWriter implements BlobWriter {
  #store: ChunkStore;
  #engine: HashEngine;
  #hash: HashStream;
  #signal: AbortSignal | undefined;
  /** Content that is not cut yet. Grows with the blob, as most blobs are short. */
  #buffer = new Uint8Array(4096);
  #length = 0;
  #list: ChunkMeta[] = [];
  #size = 0;

  constructor(store: ChunkStore, engine: HashEngine, hash: HashStream, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#engine = engine;
    this.#hash = hash;
    this.#signal = signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    this.#size += bytes.length;
    const hashed = this.#hash.update(bytes);
    hashed.catch(() => {});
    this.#reserve(bytes.length);
    for (let offset = 0; offset < bytes.length; ) {
      const taken = Math.min(bytes.length - offset, this.#buffer.length - this.#length);
      this.#buffer.set(bytes.subarray(offset, offset + taken), this.#length);
      this.#length += taken;
      offset += taken;
      if (this.#length === WRITE_BATCH) await this.#writeChunks(MAX_CHUNK_SIZE);
    }
    await hashed;
  }

  async close(): Promise<{ digest: Digest; size: number }> {
    this.#signal?.throwIfAborted();
    await this.#writeChunks(1);
    const digest = asDigest(await this.#hash.digest());
    this.#signal?.throwIfAborted();
    if (this.#size > 0) await this.#store.put([], [{ digest, chunks: this.#list.length > 1 ? this.#list : [] }]);
    return { digest, size: this.#size };
  }

  async abort(): Promise<void> {
    this.#hash.abort();
    this.#length = 0;
  }

  #reserve(more: number): void {
    const wanted = this.#length + more;
    if (wanted <= this.#buffer.length || this.#buffer.length === WRITE_BATCH) return;
    const grown = new Uint8Array(Math.min(2 ** Math.ceil(Math.log2(wanted)), WRITE_BATCH));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }

  /** Cuts and writes what is there, but for an end of less than `atLeast` bytes, where the content to come decides. */
  async #writeChunks(atLeast: number): Promise<void> {
    const parts: Uint8Array[] = [];
    let start = 0;
    while (this.#length - start >= atLeast) {
      const end = start + cut(this.#buffer, start, this.#length);
      parts.push(this.#buffer.subarray(start, end));
      start = end;
    }
    if (parts.length === 0) return;
    const chunks = await hashChunks(this.#engine, parts);
    for (const chunk of chunks) this.#list.push(chunkMeta(chunk));
    this.#signal?.throwIfAborted();
    await this.#store.put(chunks, []);
    this.#buffer.copyWithin(0, start, this.#length);
    this.#length -= start;
  }
}

async function hashChunks(engine: HashEngine, parts: readonly Uint8Array[]): Promise<StoredChunk[]> {
  const digests = await engine.blake3Many(parts);
  return parts.map((bytes, i) => ({ digest: asDigest(digests[i] as Uint8Array), bytes }));
}

function chunkMeta({ digest, bytes }: StoredChunk): ChunkMeta {
  return { digest, size: bytes.length };
}

function isEmpty(digest: Digest): boolean {
  return equalBytes(digest, EMPTY_DIGEST);
}

function corruptList(digest: Digest): StoreError {
  return new StoreError("corrupt", `the chunks listed for blob ${formatDigest(digest)} make up other content`);
}
