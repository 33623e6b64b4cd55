import { sha256 as hexSha256 } from "hash-wasm";
import { fromHex } from "../bytes.ts";

// Not in hash-bytes.ts: its BLAKE3 would add 12 kB to the store worker, which does not call it.

/** SHA-256 of a short text. For content of any size, hash as it streams. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return fromHex(await hexSha256(bytes));
}
