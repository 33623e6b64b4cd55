import { md5, sha1, sha256, sha512 } from "hash-wasm";
import { fromHex } from "../bytes.ts";
import type { HashAlgorithm } from "./hash.ts";

// Apart from hash.ts, so that those who only read and write hashes, a page's own thread among them, load no WebAssembly.

/** The digest of `bytes`. For content of any size, hash as it streams: this one is for short texts. */
export async function hashBytes(algorithm: HashAlgorithm, bytes: Uint8Array): Promise<Uint8Array> {
  return fromHex(await HASH_FUNCTIONS[algorithm](bytes));
}

const HASH_FUNCTIONS: Readonly<Record<HashAlgorithm, (bytes: Uint8Array) => Promise<string>>> = { md5, sha1, sha256, sha512 };
