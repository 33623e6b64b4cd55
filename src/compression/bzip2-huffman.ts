import type { BitReader } from "./bit-reader.ts";

const MAX_LENGTH = 20;
/** Maximum length of the codes that are looked up in one step. */
const SHORT = 10;

/** A prefix code of bzip2. Its codes have 1 to 20 bits. */
export class Bzip2Code {
  /** By the next `SHORT` bits: the symbol, shifted left by 5, and the length of its code. Or 0. */
  readonly #short = new Uint16Array(1 << SHORT);
  /** For each length: the number after its last code, or 0 if it has none. */
  readonly #end = new Int32Array(MAX_LENGTH + 1);
  /** For each length: the index of its first symbol in `#symbols`, less its first code. */
  readonly #offset = new Int32Array(MAX_LENGTH + 1);
  /** The symbols in the order of their codes. */
  readonly #symbols: Uint16Array;

  /** @param lengths of the symbols' codes, in bits */
  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length);
    let code = 0;
    let index = 0;
    for (let length = 1; length <= MAX_LENGTH; length++) {
      code <<= 1;
      this.#offset[length] = index - code;
      for (const [symbol, own] of lengths.entries()) {
        if (own !== length) continue;
        this.#symbols[index++] = symbol;
        // Damaged lengths may give more codes than fit in `length` bits.
        if (length <= SHORT && code < 1 << length) {
          const first = code << (SHORT - length);
          this.#short.fill((symbol << 5) | length, first, first + (1 << (SHORT - length)));
        }
        code++;
      }
      this.#end[length] = code;
    }
  }

  /**
   * Reads a code's lengths, each as a difference from the one before.
   *
   * @throws Error if they are damaged
   */
  static read(bits: BitReader, symbolCount: number): Bzip2Code {
    const lengths = new Uint8Array(symbolCount);
    let length = bits.read(5);
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      for (;;) {
        if (length < 1 || length > MAX_LENGTH) throw new Error("it is damaged");
        if (bits.read(1) === 0) break;
        length += bits.read(1) === 0 ? 1 : -1;
      }
      lengths[symbol] = length;
    }
    return new Bzip2Code(lengths);
  }

  /**
   * Reads a symbol.
   *
   * @throws Error if no symbol has the code
   */
  symbol(bits: BitReader): number {
    const next = bits.peek(MAX_LENGTH);
    const short = this.#short[next >>> (MAX_LENGTH - SHORT)] as number;
    if (short !== 0) {
      bits.skip(short & 31);
      return short >>> 5;
    }
    for (let length = SHORT + 1; length <= MAX_LENGTH; length++) {
      const code = next >>> (MAX_LENGTH - length);
      if (code >= (this.#end[length] as number)) continue;
      const symbol = this.#symbols[code + (this.#offset[length] as number)];
      if (symbol === undefined) break;
      bits.skip(length);
      return symbol;
    }
    throw new Error("it is damaged");
  }
}
