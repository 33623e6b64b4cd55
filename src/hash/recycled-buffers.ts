/** The least size of a buffer: each message takes one, however short it is. */
export const MIN_BUFFER: number = 64 * 1024;

/** Buffers that came back from workers, for the next messages: fresh memory has to be cleared, page by page, before it is written. */
export class RecycledBuffers {
  readonly #limit: number;
  #bytes = 0;
  #buffers: ArrayBuffer[] = [];

  /** @param limit bytes that are kept at most */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** One of at least `size` bytes. */
  take(size: number): ArrayBuffer {
    let best = -1;
    for (const [i, { byteLength }] of this.#buffers.entries()) {
      // A small message would keep a large one from those who need it.
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
