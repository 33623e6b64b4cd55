import { createBLAKE3, type IHasher } from "hash-wasm";

/**
 * BLAKE3 in this thread, for what is small: directories, chunk lists. Blob content goes through a `HashEngine`.
 *
 * The module loads its WebAssembly before anything that imports it runs, so that the function itself needs no `await`.
 */
const hasher: IHasher = await createBLAKE3();

/** BLAKE3 digest of `bytes`: 32 bytes. */
export function blake3(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest("binary");
}
