/**
 * Accepts bytes in pieces of any length and returns them in requested lengths. The result is a view
 * if one piece holds all requested bytes. Otherwise the bytes are joined in a new buffer, so a
 * piece is held only until the next one is fed.
 */
export class ExactPieces {
  #piece: Uint8Array = new Uint8Array(0);
  #begun: Uint8Array | undefined;
  #filled = 0;

  /** Adds a piece. The piece before it must be used up. */
  feed(piece: Uint8Array): void {
    this.#piece = piece;
  }

  /**
   * Returns the next `length` bytes, or `undefined` if they have not all come. The next call must
   * then pass the same `length`.
   */
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

  /** Number of bytes that were fed but not taken. */
  get rest(): number {
    return this.#filled + this.#piece.length;
  }

  #cut(length: number): Uint8Array {
    const part = this.#piece.subarray(0, length);
    this.#piece = this.#piece.subarray(length);
    return part;
  }
}
