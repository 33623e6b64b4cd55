import { EMPTY_BYTES, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { blake3 } from "../hash/blake3.ts";

declare const blake3Digest: unique symbol;

/**
 * A BLAKE3 hash of 32 bytes that names a blob, a chunk or a directory. Only `asDigest` and
 * `digestOf` make digests, so the length is always checked.
 */
export type Digest = Uint8Array<ArrayBuffer> & { readonly [blake3Digest]: true };

export const DIGEST_LENGTH = 32;

/**
 * Checks that `bytes` has the length of a digest.
 *
 * @param of name of the value, for the error message
 * @throws StoreError `invalid` if `bytes` is not 32 bytes long
 */
export function asDigest(bytes: Uint8Array, of = "digest"): Digest {
  if (bytes.length !== DIGEST_LENGTH)
    throw new StoreError("invalid", `${of} has ${bytes.length} bytes instead of ${DIGEST_LENGTH}`);
  return bytes as Digest;
}

/** Hashes `bytes` in the calling thread. For small objects only. */
export function digestOf(bytes: Uint8Array): Digest {
  return asDigest(blake3(bytes));
}

/** A key for `Map` and `Set`: one character per byte. Not for display. */
export function digestKey(digest: Digest): string {
  return String.fromCharCode(...digest);
}

/** Formats a digest for messages: `b3:` and base64, as tvix writes digests. */
export function formatDigest(digest: Uint8Array): string {
  return `b3:${toBase64(digest)}`;
}

/**
 * Digest of no bytes. It names the empty blob and the empty Directory, whose encoding has no bytes.
 * Both always exist.
 */
export const EMPTY_DIGEST: Digest = digestOf(EMPTY_BYTES);
