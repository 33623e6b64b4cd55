import { sha256 as hexSha256 } from "hash-wasm";
import { fromHex } from "../bytes.ts";

// Separate from hash-bytes.ts, whose BLAKE3 would add 12 kB to the store worker, which does not use
// it.

/** Computes the SHA-256 of a short text. For content of any size, use a streaming hash. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return fromHex(await hexSha256(bytes));
}
