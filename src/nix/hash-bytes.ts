import { blake3, md5, sha1, sha256, sha512 } from "hash-wasm";
import { fromHex } from "../bytes.ts";
import type { HashAlgorithm } from "./hash.ts";

// Separate from hash.ts, so that code which only reads and writes hashes loads no WebAssembly.

/** Hashes a short text. For content of any size, use a streaming hash. */
export async function hashBytes(algorithm: HashAlgorithm, bytes: Uint8Array): Promise<Uint8Array> {
  return fromHex(await HASH_FUNCTIONS[algorithm](bytes));
}

const HASH_FUNCTIONS: Readonly<Record<HashAlgorithm, (bytes: Uint8Array) => Promise<string>>> = {
  md5,
  sha1,
  sha256,
  sha512,
  // This can't be the project's own kernel, because this room doesn't import `hash`.
  blake3: (bytes) => blake3(bytes),
};
