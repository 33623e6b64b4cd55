/**
 * Takes bytes in pieces of any length and hands them out in the lengths that are asked for: as views of a piece that holds them whole,
 * or else put together in a new buffer, so that no piece is held longer than until the next one is wanted.
 */
export class ExactPieces {
  #piece: Uint8Array = new Uint8Array(0);
  #begun: Uint8Array | undefined;
  #filled = 0;

  /** The piece before must be used up. */
  feed(piece: Uint8Array): void {
    this.#piece = piece;
  }

  /** The next `length` bytes, or `undefined` if they aren't there; then `length` must be the same at the next call. */
  take(length: number): Uint8Array | undefined {
    if (!this.#begun) {
      if (this.#piece.length >= length) return this.#cut(length);
      if (this.#piece.length === 0) return undefined;
      this.#begun = new Uint8Array(length);
    }
    const part = this.#cut(Math.min(length - this.#filled, this.#piece.length));
    this.#begun.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled < length) return undefined;
    const whole = this.#begun;
    this.#begun = undefined;
    this.#filled = 0;
    return whole;
  }

  /** Bytes that were fed and not taken. */
  get rest(): number {
    return this.#filled + this.#piece.length;
  }

  #cut(length: number): Uint8Array {
    const part = this.#piece.subarray(0, length);
    this.#piece = this.#piece.subarray(length);
    return part;
  }
}
