import type { HashAlgorithm } from "../hash-algorithm.ts";
import type { Outboard } from "./outboard.ts";

/**
 * Hashes either in the calling thread or in a pool of workers. Callers can't tell which.
 *
 * An engine may read a buffer until the returned promise settles. Until then the caller must not
 * change the buffer. The engine never transfers or changes a buffer, except the buffers passed to
 * `give` and `push`. Calls reject with `invalid` if the buffer of the bytes was transferred away.
 */
export interface HashEngine {
  /**
   * BLAKE3 digest of each blob, in the order of `blobs`. For many small blobs at once, and for
   * large ones.
   */
  blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]>;

  /** Starts a hash over bytes that come in pieces. */
  stream(algorithm: HashAlgorithm, options?: HashStreamOptions): Promise<HashStream>;

  /** Starts to cut and hash one blob. */
  cutter(): Promise<BlobCutter>;

  /** Ends the workers, if there are any. Running calls reject with `closed`. */
  close(): void;
}

export interface HashStreamOptions {
  /**
   * Expected length of the content in bytes; a lower bound is enough. It only makes the hash
   * faster, so it may be wrong.
   */
  readonly size?: number | undefined;
}

export interface HashStream {
  /**
   * Appends `bytes`. Resolves when the stream is ready for more. Pieces are hashed in the order of
   * the calls.
   */
  update(bytes: Uint8Array): Promise<void>;
  /**
   * Appends the first `length` bytes of `buffer`, without a copy if there are workers. The engine
   * owns the buffer until the promise resolves. It then returns the buffer unchanged, perhaps as
   * another object. Several calls may be pending.
   *
   * Use it for pieces of at least 64 KiB. For BLAKE3, all pieces but the last should have
   * `SUBTREE_SIZE` bytes: a piece that spans two subtrees is copied.
   */
  give(buffer: ArrayBuffer, length: number): Promise<ArrayBuffer>;
  /** Ends the stream and returns the digest. */
  digest(): Promise<Uint8Array>;
  /** Ends the stream without a result. */
  abort(): void;
}

/**
 * One pass over a blob. While the bytes are in the CPU cache, FastCDC cuts them, the chunks and the
 * blob are hashed, and the outboard is made.
 */
export interface BlobCutter {
  /**
   * Appends the first `length` bytes of `buffer`. The cutter owns the buffer until the promise
   * resolves. It then returns the buffer unchanged (perhaps as another object), with the chunks
   * that ended in these bytes. Several calls may be pending; they resolve in order.
   */
  push(buffer: ArrayBuffer, length: number): Promise<CutPiece>;
  /** Ends the blob and returns the result. */
  end(): Promise<CutBlob>;
  /** Discards the blob. Does nothing after the end. */
  abort(): void;
}

export interface CutPiece {
  readonly buffer: ArrayBuffer;
  /**
   * Chunks that ended in the piece, in order. The first one begins where the last chunk of the
   * piece before ended.
   */
  readonly chunks: readonly CutChunk[];
}

export interface CutChunk {
  /** Length of the chunk in bytes. */
  readonly length: number;
  /** BLAKE3 digest of the chunk. */
  readonly digest: Uint8Array;
}

export interface CutBlob {
  /** The last chunk. No chunk if the blob is empty. */
  readonly chunks: readonly CutChunk[];
  /** BLAKE3 digest of the blob. */
  readonly digest: Uint8Array;
  readonly outboard: Outboard;
}
