import type { ChunkMeta } from "./blob-service.ts";
import type { Digest } from "./digest.ts";

/**
 * The part of blob storage that a backend implements: it keeps chunks, and for each blob the list
 * of its chunks. `ChunkedBlobService` cuts, hashes and checks.
 */
export interface ChunkStore {
  /**
   * Reads what is stored about each blob; `undefined` for each missing blob. A blob that is one
   * chunk has the same digest as the chunk. For this blob the store may return an empty list, or
   * `undefined` as long as it has the chunk.
   */
  getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]>;

  hasChunks(chunks: readonly Digest[]): Promise<boolean[]>;

  /** Reads the stored bytes without verifying them; `undefined` for each missing chunk. */
  getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]>;

  /**
   * Stores chunks and blobs. A blob never becomes visible before its chunks. The store may leave
   * what it already has as it is. Resolves when everything can be read back; from then on the store
   * no longer uses the buffers.
   */
  put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void>;
}

export interface StoredChunk {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** The stored entry of a blob. Unverified: the blob's digest does not cover the chunk list. */
export interface BlobEntry {
  /**
   * Chunks in the order of the content. Empty if the blob is one chunk, which has the blob's
   * digest.
   */
  readonly chunks: readonly ChunkMeta[];
  /**
   * The encoded outboard (docs/verified-streaming.md), for blobs of several chunks. Other programs
   * write entries without it.
   */
  readonly bao?: Uint8Array | undefined;
}

export interface StoredBlob extends BlobEntry {
  readonly digest: Digest;
}
