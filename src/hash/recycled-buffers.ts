/** Minimum size of a buffer in bytes. Each message takes one buffer, even a short message. */
export const MIN_BUFFER: number = 64 * 1024;

/**
 * Buffers that workers returned, kept for the next messages. Reuse avoids fresh memory, which the
 * system has to clear page by page.
 */
export class RecycledBuffers {
  readonly #limit: number;
  #bytes = 0;
  #buffers: ArrayBuffer[] = [];

  /** @param limit maximum number of bytes that are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Returns a buffer of at least `size` bytes. */
  take(size: number): ArrayBuffer {
    let best = -1;
    for (const [i, { byteLength }] of this.#buffers.entries()) {
      // Don't give a large buffer to a small message: a large message may need it.
      if (byteLength < size || byteLength > 4 * Math.max(size, MIN_BUFFER)) continue;
      if (best === -1 || byteLength < (this.#buffers[best] as ArrayBuffer).byteLength) best = i;
    }
    const [buffer] = best === -1 ? [] : this.#buffers.splice(best, 1);
    if (!buffer) return new ArrayBuffer(2 ** Math.ceil(Math.log2(Math.max(size, MIN_BUFFER))));
    this.#bytes -= buffer.byteLength;
    return buffer;
  }

  give(buffer: ArrayBuffer | undefined): void {
    if (!buffer || buffer.byteLength > this.#limit) return;
    this.#buffers.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > this.#limit) this.#bytes -= this.#buffers.shift()?.byteLength ?? 0;
  }
}
