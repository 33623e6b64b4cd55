import type { Outboard } from "../hash/outboard.ts";
import type { Digest } from "./digest.ts";

/**
 * Byte strings of any length, each named by its BLAKE3 digest.
 *
 * Rules for every implementation (src/conformance checks them):
 * - The empty blob always exists.
 * - The service checks bytes against the requested digest, unless the caller does (`unverified`).
 *   If they differ, the promise rejects or the stream errors with `corrupt` before its end, and the
 *   message names the digest. The service checks a range group by group against the digest of the
 *   whole blob, and passes on a group after its check. If a remote offers nothing to check a range
 *   with, the service reads the whole blob. It then holds back only the last piece of the range
 *   until the whole blob matches the digest.
 * - The promise of a write resolves when the blob can be read back. The blob may be lost in a
 *   crash. This is safe, because a store makes all blobs durable before it publishes the PathInfo
 *   that refers to them.
 * - The caller must not change a buffer that it passed in until the promise settles. Afterwards the
 *   service no longer uses the buffer. Buffers that come out belong to the caller, but may be views
 *   of larger buffers.
 */
export interface BlobService {
  /** Describes blobs or chunks, in the order of `digests`; `undefined` for each missing one. */
  stat(digests: readonly Digest[], options?: StatBlobOptions): Promise<(BlobStat | undefined)[]>;

  /**
   * Opens the content from `offset`: `length` bytes, or all bytes up to the end. A range is clamped
   * to the content. `undefined` if the blob is missing.
   */
  open(digest: Digest, options?: ReadBlobOptions): Promise<ReadableStream<Uint8Array> | undefined>;

  /**
   * Reads whole blobs of at most `SMALL_BLOB_LIMIT` bytes (1 MiB), in the order of `digests`;
   * `undefined` for each missing blob.
   */
  readMany(digests: readonly Digest[], options?: ReadManyOptions): Promise<(Uint8Array | undefined)[]>;

  /**
   * Starts to write one blob of any length. If `expected` is set and is not the blob's digest,
   * `close` rejects with `corrupt`, and the blob does not become visible.
   */
  create(options?: CreateBlobOptions): Promise<BlobWriter>;

  /**
   * Writes many blobs of at most `SMALL_BLOB_LIMIT` bytes (1 MiB) each in one call. Returns their
   * digests in the same order. If `expected` is set, it has the digest that each blob must have. If
   * one differs, the promise rejects with `corrupt`, and no blob becomes visible.
   */
  putMany(blobs: readonly Uint8Array[], options?: PutManyOptions): Promise<Digest[]>;
}

export interface CreateBlobOptions {
  /** Digest that the blob must have. */
  expected?: Digest | undefined;
  signal?: AbortSignal | undefined;
}

export interface PutManyOptions {
  /** Digests that the blobs must have, in the same order. */
  expected?: readonly Digest[] | undefined;
  signal?: AbortSignal | undefined;
}

export interface ReadManyOptions {
  /**
   * Whether the caller checks all bytes itself before anybody relies on them: it passes the digest
   * as `expected` to a write, or compares a hash of content that includes them. The service may
   * then omit its check, so that each byte is hashed once. A range is always checked.
   */
  unverified?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface StatBlobOptions {
  /**
   * Whether to return the blobs' outboards. A store that keeps none for a blob has to read the blob
   * to compute its outboard.
   */
  outboard?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface ReadBlobOptions extends ReadManyOptions {
  /** Start of the range in bytes; 0 by default. */
  offset?: number | undefined;
  /** Length of the range in bytes; up to the end of the blob by default. */
  length?: number | undefined;
}

export interface BlobStat {
  /**
   * Chunks in the order of the content. Empty if the blob is one chunk, or if the store does not
   * list chunks.
   */
  readonly chunks: readonly ChunkMeta[];
  /**
   * Outboard of the blob, if the caller asked for it and the store supplies it. A remote's outboard
   * is unverified: call `checkOutboard` to compare it with the digest.
   */
  readonly outboard?: Outboard | undefined;
}

export interface ChunkMeta {
  /** BLAKE3 digest of the chunk alone. */
  readonly digest: Digest;
  /** Length of the chunk in bytes. */
  readonly size: number;
}

export interface BlobWriter {
  /** Appends `bytes`. Resolves when the writer is ready for more. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the content. Resolves when the blob can be read back. */
  close(): Promise<{ digest: Digest; size: number }>;
  /** Discards the blob: nothing becomes visible. Does nothing after `close()` or an error. */
  abort(reason?: unknown): Promise<void>;
}

/** Size limit in bytes of each blob for `putMany` and `readMany`. */
export const SMALL_BLOB_LIMIT = 1024 * 1024;
