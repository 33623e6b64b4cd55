/**
 * Reads a bitstream of zstd from its end (RFC 8878, 4.1). The last byte has a mark above the first
 * bit. Bits before the beginning read as zeros.
 */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  #left: number;

  /** @throws Error if there is no mark */
  constructor(bytes: Uint8Array) {
    const last = bytes.at(-1);
    if (!last) throw new Error("a block is damaged");
    this.#bytes = bytes;
    this.#left = bytes.length * 8 - Math.clz32(last) + 23;
  }

  /** Number of bits left. It is negative after a read beyond the beginning. */
  get left(): number {
    return this.#left;
  }

  /** Reads the next `count` bits, up to 31. */
  read(count: number): number {
    if (count > 16) return (this.read(count - 16) << 16) | this.read(16);
    this.#left -= count;
    return this.#bits(this.#left) & ((1 << count) - 1);
  }

  /** Returns at least 17 bits, from bit `at` on. */
  #bits(at: number): number {
    const bytes = this.#bytes;
    const byte = at >> 3;
    if (byte >= 0) return ((bytes[byte] as number) | ((bytes[byte + 1] ?? 0) << 8) | ((bytes[byte + 2] ?? 0) << 16)) >> (at & 7);
    if (byte < -3) return 0;
    const [low = 0, middle = 0, high = 0] = [bytes[byte], bytes[byte + 1], bytes[byte + 2]];
    return (low | (middle << 8) | (high << 16)) >> (at & 7);
  }
}
