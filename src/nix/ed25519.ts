import { getPublicKeyAsync, hashes, signAsync, verifyAsync } from "@noble/ed25519";
import { sha512 } from "hash-wasm";
import { concatBytes, fromHex, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { PublicKey, SecretKey } from "./key.ts";
import { SIGNATURE_LENGTH, type Signature } from "./signature.ts";

/**
 * Ed25519 signatures of fingerprints. WebCrypto makes them where it has the curve (all engines of
 * 2025), else a library does. The library would ask WebCrypto for SHA-512, which plain HTTP pages
 * lack, so it gets another SHA-512 here.
 */

hashes.sha512Async = async (message) => copy(fromHex(await sha512(message)));

const ALGORITHM = "Ed25519";
/** The bytes before the seed in PKCS #8 (RFC 8410). */
const PKCS8_PREFIX = fromHex("302e020100300506032b657004220420");

/**
 * Signs `fingerprint`.
 *
 * @throws StoreError `invalid` if the key's public half doesn't match its seed
 */
export async function sign(key: SecretKey, fingerprint: string): Promise<Signature> {
  const message = utf8(fingerprint);
  const data = (await nativeSign(key.seed, message)) ?? (await signAsync(message, key.seed));
  // Verify, because a signature that nobody can check is worse than none.
  if (!(await verifyBytes(key.publicBytes, data, message)))
    throw new StoreError("invalid", `the secret key ${key.name} is damaged: its public half does not match its seed`);
  return { name: key.name, data };
}

/** @throws StoreError `invalid` if the key's public half doesn't match its seed, as in `sign` */
export async function checkSecretKey(key: SecretKey): Promise<void> {
  await sign(key, "");
}

/** Whether one of `keys` made `signature`. */
export async function verify(signature: Signature, fingerprint: string, keys: Iterable<PublicKey>): Promise<boolean> {
  if (signature.data.length !== SIGNATURE_LENGTH) return false;
  for (const { name, bytes } of keys) {
    if (name === signature.name && (await verifyBytes(bytes, signature.data, utf8(fingerprint)))) return true;
  }
  return false;
}

/** Generates a key from the platform's random numbers. */
export async function generateSecretKey(name: string): Promise<SecretKey> {
  const seed = crypto.getRandomValues(new Uint8Array(32));
  return { name, seed, publicBytes: await getPublicKeyAsync(seed) };
}

async function verifyBytes(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<boolean> {
  const imported = await native(() => crypto.subtle.importKey("raw", copy(key), ALGORITHM, false, ["verify"]));
  if (imported) return crypto.subtle.verify(ALGORITHM, imported, copy(signature), copy(message));
  return verifyAsync(signature, message, key).catch(() => false);
}

async function nativeSign(seed: Uint8Array, message: Uint8Array): Promise<Uint8Array | undefined> {
  const pkcs8 = concatBytes([PKCS8_PREFIX, seed]);
  const imported = await native(() => crypto.subtle.importKey("pkcs8", copy(pkcs8), ALGORITHM, false, ["sign"]));
  return imported && new Uint8Array(await crypto.subtle.sign(ALGORITHM, imported, copy(message)));
}

/** Returns `undefined` if WebCrypto is missing, doesn't know the curve, or refuses the key. */
async function native<T>(importKey: () => Promise<T>): Promise<T | undefined> {
  try {
    return await importKey();
  } catch {
    return undefined;
  }
}

/**
 * Copies `bytes` into unshared memory. WebCrypto refuses views of shared memory, and its types do
 * too.
 */
function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
