import { EMPTY_BYTES } from "../bytes.ts";

/** Initial probability, in 2048ths. */
const HALF = 1024;
const TOP = 2 ** 24;

/**
 * The range decoder of LZMA. It decodes bits with and without adaptive probabilities. It can't wait
 * for input, so `supply` must give it enough for all bits of a symbol.
 */
export class LzmaRangeDecoder {
  /** Number of bytes at the beginning of a stream that `begin` takes. */
  static readonly START = 5;

  readonly #probabilities: Uint16Array;
  #range = 0xffffffff;
  #code = 0;
  #input: Uint8Array = EMPTY_BYTES;
  #at = 0;

  /** @param count number of probabilities */
  constructor(count: number) {
    this.#probabilities = new Uint16Array(count).fill(HALF);
  }

  /**
   * @param bytes the first five bytes of the stream
   * @throws Error if the stream is damaged
   */
  begin(bytes: Uint8Array): void {
    if (bytes[0] !== 0) throw new Error("it is damaged");
    this.#range = 0xffffffff;
    for (const byte of bytes.subarray(1)) this.#code = ((this.#code << 8) | byte) >>> 0;
  }

  /** Resets all probabilities. */
  forget(): void {
    this.#probabilities.fill(HALF);
  }

  /** Reads from these bytes from now on. */
  supply(input: Uint8Array): void {
    this.#input = input;
    this.#at = 0;
  }

  /** Number of input bytes read. */
  get taken(): number {
    return this.#at;
  }

  /** Whether the stream may end here. */
  get mayEnd(): boolean {
    return this.#code === 0;
  }

  /** Decodes a number, highest bit first. The preceding bits select the probability of each bit. */
  tree(base: number, bits: number): number {
    let symbol = 1;
    for (let i = 0; i < bits; i++) symbol = (symbol << 1) | this.bit(base + symbol);
    return symbol - (1 << bits);
  }

  /** Decodes a number, lowest bit first. */
  reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /**
   * Decodes one bit with the probability at `index`, and adapts the probability.
   *
   * @throws Error if the input ends
   */
  bit(index: number): number {
    const probability = this.#probabilities[index] as number;
    const bound = (this.#range >>> 11) * probability;
    let bit = 0;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
    } else {
      this.#range -= bound;
      this.#code -= bound;
      this.#probabilities[index] = probability - (probability >> 5);
      bit = 1;
    }
    if (this.#range < TOP) this.#normalize();
    return bit;
  }

  /** Decodes a number whose bits have no probabilities, highest bit first. */
  directBits(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit) this.#code -= this.#range;
      value = value * 2 + bit;
      if (this.#range < TOP) this.#normalize();
    }
    return value;
  }

  #normalize(): void {
    const byte = this.#input[this.#at++];
    if (byte === undefined) throw new Error("it is cut short");
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | byte) >>> 0;
  }
}
