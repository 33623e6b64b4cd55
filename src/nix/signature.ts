import { quote, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { decodeNixBase64 } from "./base64.ts";

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
 * Reads `name:base64`. Padding may be missing.
 *
 * @throws StoreError `invalid`
 */
export function parseSignature(text: string): Signature {
  const colon = text.indexOf(":");
  const signature = colon > 0 ? usableSignature(text.slice(0, colon), text.slice(colon + 1)) : undefined;
  if (!signature)
    throw new StoreError("invalid", `not a signature, a key name and ${SIGNATURE_LENGTH} bytes in base64: ${quote(text)}`);
  return signature;
}

/**
 * Reads a signature of a path info from outside. Nix accepts any name and bytes there, and takes
 * the path if another signature is valid. So one bad signature must not make the path unreadable.
 *
 * @returns `undefined` if no key can have made the signature: the text after the colon is not the
 *   base64 of 64 bytes, or the name has blanks
 * @throws StoreError `invalid` if there is no name or no colon, as in Nix 2.34
 */
export function readSignature(text: string): Signature | undefined {
  const colon = text.indexOf(":");
  if (colon <= 0) throw new StoreError("invalid", `not a signature: ${quote(text)}`);
  return usableSignature(text.slice(0, colon), text.slice(colon + 1));
}

/** Returns a signature of the key `name`, or `undefined` if no key can have made it. */
export function usableSignature(name: string, base64: string): Signature | undefined {
  if (!KEY_NAME.test(name)) return undefined;
  try {
    const data = decodeNixBase64(base64);
    return data.length === SIGNATURE_LENGTH ? { name, data } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes `name:base64`.
 *
 * @throws StoreError `invalid` if `parseSignature` would refuse the text: the name of a remote's
 *   key must not add lines to a file
 */
export function formatSignature(signature: Signature): string {
  if (!KEY_NAME.test(signature.name) || signature.data.length !== SIGNATURE_LENGTH) {
    throw new StoreError("invalid", `not a signature: ${signature.data.length} bytes by ${quote(signature.name)}`);
  }
  return `${signature.name}:${toBase64(signature.data)}`;
}
