import { concatBytes, equalBytes, fromBase64, quote, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { checkKeyName } from "./signature.ts";

/** An Ed25519 key that signatures are checked with, as in Nix's `trusted-public-keys`. */
export interface PublicKey {
  /** For example `cache.nixos.org-1`: which signatures it is for. */
  readonly name: string;
  /** 32 bytes. */
  readonly bytes: Uint8Array;
}

/** An Ed25519 key that signs, as `nix-store --generate-binary-cache-key` makes it. */
export interface SecretKey {
  readonly name: string;
  /** 32 bytes: what all follows from. */
  readonly seed: Uint8Array;
  /** 32 bytes: the public key, which the format keeps beside it. */
  readonly publicBytes: Uint8Array;
}

const KEY_LENGTH = 32;

/** Reads `name:base64` of 32 bytes. @throws StoreError `invalid` */
export function parsePublicKey(text: string): PublicKey {
  const { name, bytes } = parseKey(text, KEY_LENGTH, "public key");
  return { name, bytes };
}

export function formatPublicKey({ name, bytes }: PublicKey): string {
  return `${name}:${toBase64(bytes)}`;
}

/**
 * Reads `name:base64` of 64 bytes, seed and public key; blanks around it are of the file. The error doesn't show the text, since it is a secret.
 *
 * @throws StoreError `invalid`
 */
export function parseSecretKey(text: string): SecretKey {
  const { name, bytes } = parseKey(text.trim(), 2 * KEY_LENGTH, "secret key");
  return { name, seed: bytes.slice(0, KEY_LENGTH), publicBytes: bytes.slice(KEY_LENGTH) };
}

export function formatSecretKey({ name, seed, publicBytes }: SecretKey): string {
  return `${name}:${toBase64(concatBytes([seed, publicBytes]))}`;
}

export function publicKeyOf({ name, publicBytes }: SecretKey): PublicKey {
  return { name, bytes: publicBytes };
}

/**
 * Reads several public keys, separated by blanks, as Nix's settings have them.
 *
 * @throws StoreError `invalid`, also for two keys of one name
 */
export function parsePublicKeys(text: string | Iterable<string>): PublicKey[] {
  const texts = typeof text === "string" ? text.split(/\s+/).filter((part) => part !== "") : [...text];
  const keys = new Map<string, PublicKey>();
  for (const key of texts.map(parsePublicKey)) {
    const known = keys.get(key.name);
    if (known && !equalBytes(known.bytes, key.bytes))
      throw new StoreError("invalid", `two public keys are named ${quote(key.name)}`);
    keys.set(key.name, key);
  }
  return [...keys.values()];
}

function parseKey(text: string, length: number, what: string): { name: string; bytes: Uint8Array } {
  const shown = what === "secret key" ? "" : `: ${quote(text)}`;
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0));
  let bytes: Uint8Array;
  try {
    checkKeyName(name);
    bytes = fromBase64(text.slice(colon + 1));
  } catch (cause) {
    // The cause of a secret key's error would show what it could not read.
    throw new StoreError("invalid", `not a ${what}, a name and Base64${shown}`, shown === "" ? {} : { cause });
  }
  if (bytes.length !== length) throw new StoreError("invalid", `a ${what} of ${bytes.length} bytes, not ${length}${shown}`);
  return { name, bytes };
}
