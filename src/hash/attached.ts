import { StoreError } from "../error.ts";

function goneBuffer(cause?: unknown): StoreError {
  return new StoreError("invalid", "these bytes are gone: their buffer was transferred to another thread", { cause });
}

/** @throws StoreError `invalid` if `buffer` hasn't that many bytes, which is to say: was transferred */
export function checkGiven(buffer: ArrayBuffer, length: number): void {
  if (length > buffer.byteLength) throw goneBuffer();
}

/**
 * A view of a buffer that was transferred to another thread has length 0, as an empty one has: hashed unchecked, what was there would
 * pass for the empty blob.
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
