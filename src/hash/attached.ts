import { StoreError } from "../error.ts";

function goneBuffer(cause?: unknown): StoreError {
  return new StoreError("invalid", "can't read these bytes: their buffer was transferred to another thread", { cause });
}

/**
 * Checks that `buffer` has at least `length` bytes. A transferred buffer has none.
 *
 * @throws StoreError `invalid` if it has fewer
 */
export function checkGiven(buffer: ArrayBuffer, length: number): void {
  if (length > buffer.byteLength) throw goneBuffer();
}

/**
 * Checks that the buffer of `bytes` was not transferred to another thread. A view of a transferred
 * buffer has length 0, like an empty view. Without this check its digest would be that of the empty
 * blob.
 *
 * @throws StoreError `invalid` if the buffer of `bytes` was transferred
 */
export function checkAttached(bytes: Uint8Array): void {
  if (bytes.length > 0) return;
  try {
    new Uint8Array(bytes.buffer);
  } catch (cause) {
    throw goneBuffer(cause);
  }
}
