import { Kernel } from "./kernel/kernel.ts";

/**
 * The kernel of this thread: BLAKE3 and FastCDC in WebAssembly. Compiled when the module is loaded, so that what uses it needs no
 * `await`; it is small, and warm before the first file comes.
 */
export const kernel: Kernel = Kernel.create();

/** BLAKE3 digest of `bytes`: 32 bytes. For what is small; blob content goes through a `HashEngine`. */
export function blake3(bytes: Uint8Array): Uint8Array {
  return kernel.blake3(bytes);
}
