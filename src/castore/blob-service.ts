import type { Outboard } from "../hash/outboard.ts";
import type { Digest } from "./digest.ts";

/**
 * Byte strings of any length, named by their BLAKE3 digest.
 *
 * What every implementation owes its caller (test/conformance checks it):
 * - The empty blob is always there.
 * - Bytes that come out have the digest they were asked for by. Where they don't, the promise or the stream rejects with `corrupt`
 *   before it ends, naming the digest. Of a range, nothing comes out before it is checked against the blob's digest.
 * - A promise of a write resolves when the blob can be read back. Whether it survives a crash is the owner's matter: a store
 *   publishes a PathInfo only after a durable commit.
 * - Buffers that are given stay the caller's: the service is done with them when the promise settles. Buffers that come out are the
 *   caller's to keep, but may be views of larger ones.
 */
export interface BlobService {
  /** For each digest what is known of the blob or chunk, `undefined` where it is missing. In the order of `digests`. */
  stat(digests: readonly Digest[], options?: StatBlobOptions): Promise<(BlobStat | undefined)[]>;

  /**
   * The content from `offset` on, `length` bytes or up to the end; `undefined` if the blob is missing. A range outside the content
   * is cut to it.
   */
  open(digest: Digest, options?: ReadBlobOptions): Promise<ReadableStream<Uint8Array> | undefined>;

  /** The whole content of blobs that the caller knows to be small (1 MiB at most), `undefined` where one is missing. */
  readMany(digests: readonly Digest[], options?: { signal?: AbortSignal | undefined }): Promise<(Uint8Array | undefined)[]>;

  /** Starts to write one blob, whatever its length. */
  create(options?: { signal?: AbortSignal | undefined }): Promise<BlobWriter>;

  /** Writes many small blobs (1 MiB at most each) at once, and answers their digests in the same order. */
  putMany(blobs: readonly Uint8Array[], options?: { signal?: AbortSignal | undefined }): Promise<Digest[]>;
}

export interface StatBlobOptions {
  /** Asks for the blobs' outboards. Where none is kept it has to be made, by reading the blob. */
  outboard?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface ReadBlobOptions {
  /** In bytes. */
  offset?: number | undefined;
  length?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface BlobStat {
  /** In the order of the content. Empty if the blob is one chunk, or if the store does not tell. */
  readonly chunks: readonly ChunkMeta[];
  /** If it was asked for, and the store tells. What comes from a remote is unchecked: `checkOutboard` compares it with the digest. */
  readonly outboard?: Outboard | undefined;
}

export interface ChunkMeta {
  /** BLAKE3 of the chunk alone. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface BlobWriter {
  /** Appends. Resolves when the next piece is wanted. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the content; resolves when the blob can be read back. */
  close(): Promise<{ digest: Digest; size: number }>;
  /** Gives up: nothing becomes visible. After `close()` or an error it does nothing. */
  abort(reason?: unknown): Promise<void>;
}

/** The largest blob that `putMany` and `readMany` are for. */
export const SMALL_BLOB_LIMIT = 1024 * 1024;
