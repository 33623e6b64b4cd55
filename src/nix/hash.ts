import { fromBase64, fromHex, quote, toBase64, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { decodeNixbase32, encodeNixbase32, nixbase32Length } from "./nixbase32.ts";

/** The hash functions that Nix names. BLAKE3 is an experimental feature of Nix since 2.31. */
export type HashAlgorithm = "md5" | "sha1" | "sha256" | "sha512" | "blake3";

/** Bytes of each algorithm's digest. */
export const HASH_LENGTHS: Readonly<Record<HashAlgorithm, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64, blake3: 32 };

export interface NixHash {
  readonly algorithm: HashAlgorithm;
  /** As many bytes as `HASH_LENGTHS` says. */
  readonly digest: Uint8Array;
}

/**
 * Reads a hash in any form in which Nix reads one: `sha256-<base64>` (SRI), or `sha256:` and the
 * digest in hexadecimal of either case, in nixbase32 or in base64, which its length tells apart.
 * Base64 may lack its padding. Nix also ignores text behind the padding, and bits that no byte
 * uses. No program writes these, so here they are faults.
 *
 * @throws StoreError `invalid`
 */
export function parseHash(text: string): NixHash {
  const [, algorithm, separator, digest] = /^([a-z0-9]+)([-:])(.*)$/s.exec(text) ?? [];
  if (algorithm === undefined || digest === undefined || !isHashAlgorithm(algorithm)) {
    throw new StoreError("invalid", `not a hash: ${quote(text)}`);
  }
  try {
    return { algorithm, digest: separator === "-" ? decodeBase64(algorithm, digest) : decodeDigest(algorithm, digest) };
  } catch (cause) {
    throw new StoreError("invalid", `not a ${algorithm} hash: ${quote(text)}`, { cause });
  }
}

/**
 * Reads a digest of `algorithm` in hexadecimal, nixbase32 or base64.
 *
 * @throws StoreError `invalid`
 */
export function decodeDigest(algorithm: HashAlgorithm, text: string): Uint8Array {
  const length = HASH_LENGTHS[algorithm];
  if (text.length === length * 2) return fromHex(text);
  if (text.length === nixbase32Length(length)) return decodeNixbase32(text);
  return decodeBase64(algorithm, text);
}

function decodeBase64(algorithm: HashAlgorithm, text: string): Uint8Array {
  const length = HASH_LENGTHS[algorithm];
  const digits = text.replace(/={1,2}$/, "");
  if (digits.length !== Math.ceil((length * 4) / 3)) {
    throw new StoreError("invalid", `no form of a ${algorithm} digest has ${text.length} characters`);
  }
  return fromBase64(digits.padEnd(Math.ceil(length / 3) * 4, "="));
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
