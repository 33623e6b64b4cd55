import { concatBytes, equalBytes, fromBase64, quote, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { checkKeyName } from "./signature.ts";

/** An Ed25519 key that verifies signatures, as in Nix's `trusted-public-keys`. */
export interface PublicKey {
  /**
   * Name of the key, for example `cache.nixos.org-1`. Signatures refer to their key by this name.
   */
  readonly name: string;
  /** The key, 32 bytes. */
  readonly bytes: Uint8Array;
}

/** An Ed25519 key that signs, as `nix-store --generate-binary-cache-key` makes it. */
export interface SecretKey {
  readonly name: string;
  /** Seed from which both halves of the key follow, 32 bytes. */
  readonly seed: Uint8Array;
  /** The public key, 32 bytes. The format stores it beside the seed. */
  readonly publicBytes: Uint8Array;
}

const KEY_LENGTH = 32;

/**
 * Reads `name:base64`, where the base64 holds 32 bytes.
 *
 * @throws StoreError `invalid`
 */
export function parsePublicKey(text: string): PublicKey {
  const { name, bytes } = parseKey(text, KEY_LENGTH, "public key");
  return { name, bytes };
}

export function formatPublicKey({ name, bytes }: PublicKey): string {
  return `${name}:${toBase64(bytes)}`;
}

/**
 * Reads `name:base64`, where the base64 holds 64 bytes: the seed and the public key. Blanks around
 * the text, for example from a file, are ignored. Errors don't show the text, because it is a
 * secret.
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
 * Reads several public keys, separated by blanks, as in Nix's settings.
 *
 * @throws StoreError `invalid`, also for two different keys with the same name
 */
export function parsePublicKeys(text: string | Iterable<string>): PublicKey[] {
  const texts = typeof text === "string" ? text.split(/\s+/).filter((part) => part !== "") : [...text];
  const keys = new Map<string, PublicKey>();
  for (const key of texts.map(parsePublicKey)) {
    const known = keys.get(key.name);
    if (known && !equalBytes(known.bytes, key.bytes))
      throw new StoreError("invalid", `two different public keys have the name ${quote(key.name)}`);
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
    // The cause would show a part of the secret key.
    throw new StoreError("invalid", `not a ${what} of the form name:base64${shown}`, shown === "" ? {} : { cause });
  }
  if (bytes.length !== length) throw new StoreError("invalid", `a ${what} has ${bytes.length} bytes instead of ${length}${shown}`);
  return { name, bytes };
}
