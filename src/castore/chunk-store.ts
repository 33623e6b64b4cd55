import type { ChunkMeta } from "./blob-service.ts";
import type { Digest } from "./digest.ts";

/**
 * What a storage backend has to do for blobs: keep chunks, and for each blob the list of its chunks. Cutting, hashing and checking
 * is `ChunkedBlobService`'s part.
 */
export interface ChunkStore {
  /**
   * For each blob what is known of it, `undefined` where it is missing. A blob that is one chunk has its own digest as the chunk's: it
   * may be answered by an empty list, or by `undefined` as long as the chunk itself is there.
   */
  getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]>;

  hasChunks(chunks: readonly Digest[]): Promise<boolean[]>;

  /** The bytes as they are stored, unverified; `undefined` where a chunk is missing. */
  getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]>;

  /**
   * Keeps chunks and blobs; a blob is never there before its chunks. What is there already may be left alone. Resolves when all of
   * it can be read back; the buffers are the caller's again then.
   */
  put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void>;
}

export interface StoredChunk {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** Unverified: it was not the blob's digest that was taken over it. */
export interface BlobEntry {
  /** In order. Empty if the blob is one chunk, whose digest is the blob's. */
  readonly chunks: readonly ChunkMeta[];
  /** The encoded outboard (docs/verified-streaming.md); for blobs of several chunks. Other programs write entries without it. */
  readonly bao?: Uint8Array | undefined;
}

export interface StoredBlob extends BlobEntry {
  readonly digest: Digest;
}
