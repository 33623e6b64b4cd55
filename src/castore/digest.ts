import { EMPTY_BYTES, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { blake3 } from "../hash/blake3.ts";

declare const blake3Digest: unique symbol;

/** 32 bytes: a BLAKE3 hash that names a blob, a chunk or a directory. Made only by `asDigest` and `digestOf`, so its length is checked. */
export type Digest = Uint8Array<ArrayBuffer> & { readonly [blake3Digest]: true };

export const DIGEST_LENGTH = 32;

/**
 * Checks that `bytes` can be a digest.
 *
 * @throws StoreError `invalid` that says what was expected to be one: `of`
 */
export function asDigest(bytes: Uint8Array, of = "digest"): Digest {
  if (bytes.length !== DIGEST_LENGTH)
    throw new StoreError("invalid", `${of} has ${bytes.length} bytes instead of ${DIGEST_LENGTH}`);
  return bytes as Digest;
}

/** Hashes `bytes` in this thread; for small objects. */
export function digestOf(bytes: Uint8Array): Digest {
  return asDigest(blake3(bytes));
}

/** A string for `Map` and `Set`: one character a byte. Not for show. */
export function digestKey(digest: Digest): string {
  return String.fromCharCode(...digest);
}

/** For messages: `b3:` and base64, as tvix writes digests. */
export function formatDigest(digest: Uint8Array): string {
  return `b3:${toBase64(digest)}`;
}

/** Of no bytes: the empty blob and the empty Directory, whose message has no bytes either. Both always exist. */
export const EMPTY_DIGEST: Digest = digestOf(EMPTY_BYTES);
