import type { HashAlgorithm } from "./hash-stream.ts";

/**
 * Where hashing is done: in this thread, or in a pool of workers. Callers don't know which.
 *
 * Buffers given to an engine are read before the returned promise settles and are never transferred or changed: they stay the
 * caller's. They must not change before that either.
 */
export interface HashEngine {
  /** BLAKE3 of each of `blobs`, in their order. For many small ones at once. */
  blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]>;

  /** A hash over bytes that come in pieces. */
  stream(algorithm: HashAlgorithm): Promise<HashStream>;

  /** Ends workers, if there are any; what they were doing rejects with `closed`. */
  close(): void;
}

export interface HashStream {
  /** Resolves when the next piece is wanted; pieces are hashed in the order of the calls. */
  update(bytes: Uint8Array): Promise<void>;
  /** Ends the stream. */
  digest(): Promise<Uint8Array>;
  /** Ends the stream without a result. */
  abort(): void;
}
