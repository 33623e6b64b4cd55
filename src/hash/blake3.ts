import { Kernel } from "./kernel/kernel.ts";

/**
 * The kernel of this thread: BLAKE3 and FastCDC in WebAssembly. It is compiled when this module is
 * loaded, so callers need no `await`. The module is small, and hash workers call `warm` when they
 * start.
 */
export const kernel: Kernel = Kernel.create();

/**
 * BLAKE3 digest of `bytes`: 32 bytes. For small objects only; hash the content of blobs with a
 * `HashEngine`.
 */
export function blake3(bytes: Uint8Array): Uint8Array {
  return kernel.blake3(bytes);
}
