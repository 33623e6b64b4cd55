import { EMPTY_BYTES } from "../bytes.ts";

/**
 * Reads bits from bytes, the highest bit of each byte first. It holds at most 27 bits: engines keep
 * numbers of more than 30 bits in objects of their own, which is slow.
 */
export class BitReader {
  #bytes: Uint8Array = EMPTY_BYTES;
  #at = 0;
  /** Bits that were fetched. The lowest `#count` bits were not read. */
  #held = 0;
  #count = 0;

  /** Reads from these bytes from now on, after the first `bits` bits. */
  supply(bytes: Uint8Array, bits: number): void {
    this.#bytes = bytes;
    this.#at = this.#held = this.#count = 0;
    if (bits > 0) this.read(bits);
  }

  /** Number of bits read. */
  get position(): number {
    return this.#at * 8 - this.#count;
  }

  /**
   * Reads a number of up to 20 bits.
   *
   * @throws Error if the bytes end
   */
  read(bits: number): number {
    const value = this.peek(bits);
    this.skip(bits);
    return value;
  }

  /** Returns the next bits, up to 20. Zeros follow the last byte. */
  peek(bits: number): number {
    while (this.#count < bits) {
      const rest = this.#held & ((1 << this.#count) - 1);
      this.#held = (rest << 8) | (this.#bytes[this.#at++] ?? 0);
      this.#count += 8;
    }
    return (this.#held >>> (this.#count - bits)) & ((1 << bits) - 1);
  }

  /**
   * Skips bits that `peek` returned.
   *
   * @throws Error if the bytes end
   */
  skip(bits: number): void {
    this.#count -= bits;
    if (this.#at * 8 - this.#count > this.#bytes.length * 8) throw new Error("it is cut short");
  }
}
