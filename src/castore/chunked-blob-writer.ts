import { StoreError } from "../error.ts";
import { checkAttached } from "../hash/attached.ts";
import type { BlobCutter, CutChunk, CutPiece, HashEngine } from "../hash/engine.ts";
import { MAX_CHUNK_SIZE } from "../hash/kernel/sizes.ts";
import { encodeOutboard } from "../hash/outboard.ts";
import type { RecycledBuffers } from "../hash/recycled-buffers.ts";
import type { BlobWriter, ChunkMeta, CreateBlobOptions } from "./blob-service.ts";
import type { ChunkStore, StoredBlob, StoredChunk } from "./chunk-store.ts";
import { asDigest, type Digest } from "./digest.ts";
import { checkExpected } from "./expected-digest.ts";

/** Bytes of waiting chunks at which the writer hands a batch to the store. */
const WRITE_BATCH = 4 * 1024 * 1024;
/**
 * Least size of the first buffer in bytes. It is small because most blobs are short. Each next
 * buffer has at least about half the size of what was written so far, up to `BUFFER`.
 */
const FIRST_BUFFER = 256 * 1024;
const BUFFER = 4 * 1024 * 1024;
/** Bytes that the cutter may have before `write` waits for it. */
const WINDOW = 3 * BUFFER;

export interface CutContent {
  readonly chunks: readonly StoredChunk[];
  readonly blob: StoredBlob;
}

/**
 * Writes one blob into a ChunkStore. Holds some 28 MiB at most, whatever the length of the blob.
 */
export class ChunkedBlobWriter implements BlobWriter {
  #store: ChunkStore;
  #cutter: BlobCutter;
  #buffers: RecycledBuffers;
  readonly #expected: Digest | undefined;
  #signal: AbortSignal | undefined;
  /** The buffer that `write` is filling. */
  #buffer: Uint8Array<ArrayBuffer>;
  #length = 0;
  #sent: { piece: Promise<CutPiece>; length: number }[] = [];
  #sentBytes = 0;
  #pieces: CutPieces;
  /** Chunks that are cut but not yet in the store. */
  #waiting: StoredChunk[] = [];
  #waitingBytes = 0;
  #list: ChunkMeta[] = [];
  #size = 0;
  /** The error with which every further call rejects. */
  #ended: Error | undefined;

  /** @param buffers where writers take their buffers from, and return them to */
  static async open(
    store: ChunkStore,
    engine: HashEngine,
    buffers: RecycledBuffers,
    options: CreateBlobOptions,
  ): Promise<ChunkedBlobWriter> {
    const cutter = await engine.cutter();
    if (!options.signal?.aborted) return new ChunkedBlobWriter(store, cutter, buffers, options);
    cutter.abort();
    throw options.signal.reason;
  }

  private constructor(store: ChunkStore, cutter: BlobCutter, buffers: RecycledBuffers, { expected, signal }: CreateBlobOptions) {
    this.#store = store;
    this.#cutter = cutter;
    this.#buffers = buffers;
    this.#expected = expected;
    this.#signal = signal;
    this.#buffer = new Uint8Array(buffers.take(FIRST_BUFFER));
    this.#pieces = new CutPieces(buffers);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#guarded(async () => {
      checkAttached(bytes);
      this.#size += bytes.length;
      for (let offset = 0; offset < bytes.length; ) {
        if (this.#length === this.#buffer.length) await this.#send();
        const taken = Math.min(bytes.length - offset, this.#buffer.length - this.#length);
        this.#buffer.set(bytes.subarray(offset, offset + taken), this.#length);
        this.#length += taken;
        offset += taken;
      }
    });
  }

  close(): Promise<{ digest: Digest; size: number }> {
    return this.#guarded(async () => {
      const { chunks, blob } = await this.#finish();
      checkExpected(blob.digest, this.#expected);
      this.#signal?.throwIfAborted();
      if (this.#size > 0) await this.#store.put(chunks, [blob]);
      this.#pieces.recycle();
      return { digest: blob.digest, size: this.#size };
    });
  }

  /**
   * Ends the content like `close`, but returns the remaining chunks and the blob's entry instead of
   * storing them.
   */
  cut(): Promise<CutContent> {
    return this.#guarded(() => this.#finish());
  }

  async #finish(): Promise<CutContent> {
    if (this.#length > 0) this.#push();
    while (this.#sent.length > 0) await this.#take();
    const { chunks, digest, outboard } = await this.#cutter.end();
    this.#ended ??= new StoreError("closed", "can't write to this blob: it is already closed");
    this.#addChunks(chunks);
    // A blob of one chunk needs no list in the store, and its outboard is quick to compute.
    const listed = this.#list.length > 1;
    const blob = { digest: asDigest(digest), chunks: listed ? this.#list : [], ...(listed && { bao: encodeOutboard(outboard) }) };
    return { chunks: this.#waiting, blob };
  }

  async abort(): Promise<void> {
    this.#ended ??= new StoreError("closed", "can't write to this blob: the write was aborted");
    this.#cutter.abort();
    this.#length = 0;
    this.#waiting = [];
  }

  /**
   * Runs `work`, and ends the writer if it fails. After a failure the state is unusable: content
   * may lack a piece, and waiting chunks may lie in a buffer that is being refilled.
   */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended) throw this.#ended;
    try {
      this.#signal?.throwIfAborted();
      return await work();
    } catch (error) {
      this.#ended ??=
        error instanceof Error
          ? error
          : new StoreError("closed", "can't write to this blob: the write was aborted", { cause: error });
      await this.abort();
      throw error;
    }
  }

  async #send(): Promise<void> {
    this.#push();
    while (this.#sentBytes >= WINDOW) await this.#take();
    const length = Math.max(FIRST_BUFFER, Math.min(2 ** Math.floor(Math.log2(this.#size / 2)), BUFFER));
    this.#buffer = new Uint8Array(this.#buffers.take(length));
  }

  #push(): void {
    const piece = this.#cutter.push(this.#buffer.buffer, this.#length);
    // `#take` awaits this promise and reports its error. This handler only prevents an unhandled
    // rejection.
    piece.catch(() => {});
    this.#sent.push({ piece, length: this.#length });
    this.#sentBytes += this.#length;
    this.#length = 0;
  }

  /**
   * Waits for the oldest buffer, and hands the chunks to the store when there are enough for a
   * batch.
   */
  async #take(): Promise<void> {
    const sent = this.#sent.shift();
    if (!sent) return;
    const { buffer, chunks } = await sent.piece;
    this.#sentBytes -= sent.length;
    this.#pieces.add(buffer, sent.length);
    this.#addChunks(chunks);
    if (this.#waitingBytes < WRITE_BATCH) return;
    this.#signal?.throwIfAborted();
    await this.#store.put(this.#waiting, []);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#pieces.recycle();
  }

  #addChunks(chunks: readonly CutChunk[]): void {
    for (const { length, digest: bytes } of chunks) {
      const digest = asDigest(bytes);
      this.#waiting.push({ digest, bytes: this.#pieces.take(length) });
      this.#waitingBytes += length;
      this.#list.push({ digest, size: length });
    }
  }
}

/** Buffers that were cut. Chunks are taken from them in order. */
class CutPieces {
  readonly #buffers: RecycledBuffers;
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  /** Number of bytes taken from the first buffer. */
  #taken = 0;
  /** Buffers that are used up, and those of chunks that span two cut buffers. */
  #spent: ArrayBuffer[] = [];

  constructor(buffers: RecycledBuffers) {
    this.#buffers = buffers;
  }

  add(buffer: ArrayBuffer, length: number): void {
    this.#pieces.push(new Uint8Array(buffer, 0, length));
  }

  /** Takes the next chunk. The result is a view if the chunk lies within one buffer. */
  take(length: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let missing = length; missing > 0; ) {
      const piece = this.#pieces[0];
      if (!piece) throw new StoreError("internal", "a chunk is longer than the bytes that were cut");
      const part = piece.subarray(this.#taken, this.#taken + missing);
      parts.push(part);
      missing -= part.length;
      this.#taken += part.length;
      if (this.#taken === piece.length) {
        this.#spent.push(piece.buffer);
        this.#pieces.shift();
        this.#taken = 0;
      }
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : this.#join(parts, length);
  }

  #join(parts: readonly Uint8Array[], length: number): Uint8Array {
    const buffer = this.#buffers.take(MAX_CHUNK_SIZE);
    this.#spent.push(buffer);
    const joined = new Uint8Array(buffer, 0, length);
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  /**
   * Returns the buffers that are used up, for reuse. The caller must no longer need any chunk taken
   * so far.
   */
  recycle(): void {
    for (const buffer of this.#spent.splice(0)) this.#buffers.give(buffer);
  }
}
