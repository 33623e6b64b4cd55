import { fromBase64, quote, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";

/** An Ed25519 signature of a store path's fingerprint. */
export interface Signature {
  /** Name of the key, for example `cache.nixos.org-1`. */
  readonly name: string;
  /** The signature, 64 bytes. */
  readonly data: Uint8Array;
}

/** Length of a signature, in bytes. */
export const SIGNATURE_LENGTH = 64;

/**
 * Pattern of a key name. It allows no blanks and colons, because key names end up in lines and in
 * lists separated by blanks.
 */
const KEY_NAME = /^[^\s:\p{Cc}]+$/u;

/** @throws StoreError `invalid` if `name` can't be the name of a key */
export function checkKeyName(name: string): void {
  if (!KEY_NAME.test(name)) throw new StoreError("invalid", `not the name of a key: ${quote(name)}`);
}

/**
 * Reads `name:base64`.
 *
 * @throws StoreError `invalid`
 */
export function parseSignature(text: string): Signature {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0));
  if (!KEY_NAME.test(name)) throw new StoreError("invalid", `not a signature: ${quote(text)}`);
  let data: Uint8Array;
  try {
    data = fromBase64(text.slice(colon + 1));
  } catch (cause) {
    throw new StoreError("invalid", `not a signature: ${quote(text)}`, { cause });
  }
  if (data.length !== SIGNATURE_LENGTH) {
    throw new StoreError("invalid", `a signature has ${data.length} bytes instead of ${SIGNATURE_LENGTH}: ${quote(text)}`);
  }
  return { name, data };
}

/**
 * Writes `name:base64`.
 *
 * @throws StoreError `invalid` if `parseSignature` would refuse the text: a name from a remote must
 *   not begin a line of its own
 */
export function formatSignature(signature: Signature): string {
  if (!KEY_NAME.test(signature.name) || signature.data.length !== SIGNATURE_LENGTH) {
    throw new StoreError("invalid", `not a signature: ${signature.data.length} bytes by ${quote(signature.name)}`);
  }
  return `${signature.name}:${toBase64(signature.data)}`;
}
