import { fromBase64, fromHex, quote, toBase64, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { decodeNixbase32, encodeNixbase32, nixbase32Length } from "./nixbase32.ts";

/** The hash functions that Nix names. The store's own digests (BLAKE3) are no such hashes. */
export type HashAlgorithm = "md5" | "sha1" | "sha256" | "sha512";

/** Bytes of each algorithm's digest. */
export const HASH_LENGTHS: Readonly<Record<HashAlgorithm, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64 };

export interface NixHash {
  readonly algorithm: HashAlgorithm;
  /** As many bytes as `HASH_LENGTHS` says. */
  readonly digest: Uint8Array;
}

/**
 * Reads a hash in any of the forms in which Nix writes one: `sha256-<base64>` (SRI), or `sha256:` and the digest in hexadecimal,
 * nixbase32 or base64, which its length tells apart.
 *
 * @throws StoreError `invalid`
 */
export function parseHash(text: string): NixHash {
  const [, algorithm, separator, digest] = /^([a-z0-9]+)([-:])(.*)$/s.exec(text) ?? [];
  if (algorithm === undefined || digest === undefined || !isHashAlgorithm(algorithm)) {
    throw new StoreError("invalid", `not a hash: ${quote(text)}`);
  }
  try {
    return { algorithm, digest: decodeDigest(algorithm, digest, separator === "-") };
  } catch (cause) {
    throw new StoreError("invalid", `not a ${algorithm} hash: ${quote(text)}`, { cause });
  }
}

function decodeDigest(algorithm: HashAlgorithm, text: string, sri: boolean): Uint8Array {
  const length = HASH_LENGTHS[algorithm];
  if (text.length === Math.ceil(length / 3) * 4) return checkLength(fromBase64(text), length);
  if (!sri && text.length === length * 2) return fromHex(text);
  if (!sri && text.length === nixbase32Length(length)) return decodeNixbase32(text);
  throw new StoreError("invalid", `no form of a ${algorithm} digest has ${text.length} characters`);
}

function checkLength(digest: Uint8Array, length: number): Uint8Array {
  if (digest.length !== length) throw new StoreError("invalid", `a digest of ${digest.length} bytes, not ${length}`);
  return digest;
}

export function isHashAlgorithm(text: string): text is HashAlgorithm {
  return Object.hasOwn(HASH_LENGTHS, text);
}

/** `sha256-<base64>`: as in subresource integrity. */
export function formatSri(hash: NixHash): string {
  return `${hash.algorithm}-${toBase64(hash.digest)}`;
}

/** `sha256:<nixbase32>`: as in NARInfo files and fingerprints. */
export function formatNix32(hash: NixHash): string {
  return `${hash.algorithm}:${encodeNixbase32(hash.digest)}`;
}

/** `sha256:<hexadecimal>`: as in what store paths are calculated from. */
export function formatHex(hash: NixHash): string {
  return `${hash.algorithm}:${toHex(hash.digest)}`;
}
