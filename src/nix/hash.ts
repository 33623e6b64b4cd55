import { fromHex, quote, toBase64, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashAlgorithm } from "../hash-algorithm.ts";
import { decodeNixBase64 } from "./base64.ts";
import { decodeNixbase32, encodeNixbase32, nixbase32Length } from "./nixbase32.ts";

export type { HashAlgorithm };

/** Length of each algorithm's digest, in bytes. */
export const HASH_LENGTHS: Readonly<Record<HashAlgorithm, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64, blake3: 32 };

export interface NixHash {
  readonly algorithm: HashAlgorithm;
  /** Digest with the length in `HASH_LENGTHS`. */
  readonly digest: Uint8Array;
}

/**
 * Reads a hash in any form that Nix reads: `sha256-<base64>` (SRI), or `sha256:` and the digest.
 * The digest may be in hexadecimal of either case, nixbase32 or base64; its length shows the
 * encoding. `decodeNixBase64` reads the base64 of an SRI, which may lack its padding or have text
 * after it.
 *
 * @throws StoreError `invalid`
 */
export function parseHash(text: string): NixHash {
  // Nix looks for a colon first, so an SRI can't have one, not even behind its padding.
  const colon = text.indexOf(":");
  const end = colon === -1 ? text.indexOf("-") : colon;
  const algorithm = text.slice(0, Math.max(end, 0));
  const digest = text.slice(end + 1);
  if (!isHashAlgorithm(algorithm)) throw new StoreError("invalid", `not a hash: ${quote(text)}`);
  try {
    return { algorithm, digest: colon === -1 ? decodeBase64(algorithm, digest) : decodeDigest(algorithm, digest) };
  } catch (cause) {
    throw new StoreError("invalid", `not a ${algorithm} hash: ${quote(text)}`, { cause });
  }
}

/**
 * Reads a digest of `algorithm` in hexadecimal, nixbase32 or base64. Its length tells them apart.
 * Base64 may lack its padding: Nix refuses that here, but reads it in an SRI.
 *
 * @throws StoreError `invalid`
 */
export function decodeDigest(algorithm: HashAlgorithm, text: string): Uint8Array {
  const length = HASH_LENGTHS[algorithm];
  if (text.length === length * 2) return fromHex(text);
  if (text.length === nixbase32Length(length)) return decodeNixbase32(text);
  if (text.length === Math.ceil(length / 3) * 4 || text.length === Math.ceil((length * 4) / 3))
    return decodeBase64(algorithm, text);
  throw new StoreError("invalid", `no form of a ${algorithm} digest has ${text.length} characters`);
}

function decodeBase64(algorithm: HashAlgorithm, text: string): Uint8Array {
  const digest = decodeNixBase64(text);
  if (digest.length !== HASH_LENGTHS[algorithm])
    throw new StoreError("invalid", `a ${algorithm} digest of ${digest.length} bytes, not ${HASH_LENGTHS[algorithm]}`);
  return digest;
}

export function isHashAlgorithm(text: string): text is HashAlgorithm {
  return Object.hasOwn(HASH_LENGTHS, text);
}

/** Writes `sha256-<base64>`, as in subresource integrity. */
export function formatSri(hash: NixHash): string {
  return `${hash.algorithm}-${toBase64(hash.digest)}`;
}

/** Writes `sha256:<nixbase32>`, as in NARInfo files and fingerprints. */
export function formatNix32(hash: NixHash): string {
  return `${hash.algorithm}:${encodeNixbase32(hash.digest)}`;
}

/** Writes `sha256:<hexadecimal>`, as in the texts from which Nix calculates store paths. */
export function formatHex(hash: NixHash): string {
  return `${hash.algorithm}:${toHex(hash.digest)}`;
}
