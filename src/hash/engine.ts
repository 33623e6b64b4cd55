import type { HashAlgorithm } from "./hash-stream.ts";
import type { Outboard } from "./outboard.ts";

/**
 * Where hashing is done: in this thread, or in a pool of workers. Callers don't know which.
 *
 * Buffers given to an engine are read before the returned promise settles and are never transferred or changed: they stay the
 * caller's, but for those that are given (`give`, `push`). They must not change before that either. Bytes whose buffer was transferred away
 * are refused with `invalid`.
 */
export interface HashEngine {
  /** BLAKE3 of each of `blobs`, in their order: for many small ones at once, and for large ones. */
  blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]>;

  /** A hash over bytes that come in pieces. */
  stream(algorithm: HashAlgorithm): Promise<HashStream>;

  /** Begins with a blob that is to be cut. */
  cutter(): Promise<BlobCutter>;

  /** Ends workers, if there are any; what they were doing rejects with `closed`. */
  close(): void;
}

export interface HashStream {
  /** Resolves when the next piece is wanted; pieces are hashed in the order of the calls. */
  update(bytes: Uint8Array): Promise<void>;
  /**
   * As `update`, of the first `length` bytes of `buffer`, without a copy where there are workers: the buffer is the engine's until the
   * promise resolves, and comes back unchanged, perhaps as another object. Several may be on their way. For pieces of 64 KiB and more;
   * for BLAKE3 all but the last one should have `SUBTREE_SIZE`, as what straddles subtrees is copied.
   */
  give(buffer: ArrayBuffer, length: number): Promise<ArrayBuffer>;
  /** Ends the stream. */
  digest(): Promise<Uint8Array>;
  /** Ends the stream without a result. */
  abort(): void;
}

/**
 * One pass over a blob: FastCDC cuts it, its chunks and the blob itself are hashed and its outboard is made, while the bytes are in
 * the cache.
 */
export interface BlobCutter {
  /**
   * The next bytes of the content: the first `length` of `buffer`, which is the engine's until the promise resolves, and comes back
   * unchanged (perhaps as another object), with the chunks that ended in it. Several may be on their way; they are answered in order.
   */
  push(buffer: ArrayBuffer, length: number): Promise<CutPiece>;
  /** Ends the blob. */
  end(): Promise<CutBlob>;
  /** Gives up. Does nothing after the end. */
  abort(): void;
}

export interface CutPiece {
  readonly buffer: ArrayBuffer;
  /** In their order; the first one begins where the last one of the piece before ended. */
  readonly chunks: readonly CutChunk[];
}

export interface CutChunk {
  /** Bytes. */
  readonly length: number;
  /** BLAKE3 of the chunk. */
  readonly digest: Uint8Array;
}

export interface CutBlob {
  /** The last chunk, unless the blob is empty. */
  readonly chunks: readonly CutChunk[];
  /** BLAKE3 of the blob. */
  readonly digest: Uint8Array;
  readonly outboard: Outboard;
}
