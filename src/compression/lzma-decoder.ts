import { LzmaRangeDecoder } from "./lzma-range-decoder.ts";

export interface LzmaProperties {
  /** Number of high bits of the previous byte that select a literal's probabilities. */
  readonly lc: number;
  /** Number of low bits of the position that select a literal's probabilities. */
  readonly lp: number;
  /** Number of low bits of the position that select a match's probabilities. */
  readonly pb: number;
  /** Maximum distance of a match, in bytes. */
  readonly dictionarySize: number;
}

/** Size of an output piece, in bytes. A piece may be up to one match longer. */
const PIECE = 256 * 1024;
/** Maximum input of one symbol, in bytes (`LZMA_REQUIRED_INPUT_MAX` of the LZMA SDK). */
const SYMBOL_INPUT = 20;
/**
 * Initial size of the window, in bytes. The window grows with the output, because a header may
 * claim any size and an input may have millions of members.
 */
const FIRST_DICTIONARY = 4096;

const STATES = 12;
const MIN_MATCH = 2;
const END_MARKER = 0xffffffff;

/** Offsets of each kind of probability in the one array that holds all of them. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + (STATES << 4);
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const POSITION_SLOT = IS_REP0_LONG + (STATES << 4);
const POSITION_SPECIAL = POSITION_SLOT + 4 * 64;
const POSITION_ALIGN = POSITION_SPECIAL + 115;
const MATCH_LENGTH = POSITION_ALIGN + 16;
/** Offsets within a length's probabilities: two choices, then low, middle and high lengths. */
const LENGTH_LOW = 2;
const LENGTH_MIDDLE = LENGTH_LOW + 16 * 8;
const LENGTH_HIGH = LENGTH_MIDDLE + 16 * 8;
const REP_LENGTH = MATCH_LENGTH + LENGTH_HIGH + 256;
const LITERALS = REP_LENGTH + LENGTH_HIGH + 256;

/**
 * Decodes LZMA as the LZMA SDK specifies it. The formats `.lzma` and lzip contain LZMA streams. The
 * libraries for pages (lzma1, LZMA-JS) decode only whole inputs, and allocate any size that a
 * header claims.
 */
export class LzmaDecoder {
  #lc: number;
  #literalMask: number;
  #positionMask: number;
  readonly #dictionarySize: number;
  /** Size of the output. If it is known, the end marker may be missing. */
  #size: number | undefined;
  /** Whether an end marker may come. A chunk of LZMA2 has none. */
  #mayHaveMarker = true;
  readonly #coder: LzmaRangeDecoder;

  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;

  /** Ring buffer of the last output. It grows up to the dictionary's size. */
  #window: Uint8Array<ArrayBuffer>;
  #at = 0;
  #total = 0;
  /** Offset in the window of the first byte not yet passed on. */
  #handedOut = 0;
  readonly #pieces: Uint8Array[] = [];

  #isEnded = false;

  /** @param size of the output in bytes, if known */
  constructor({ lc, lp, pb, dictionarySize }: LzmaProperties, size?: number) {
    this.#lc = lc;
    this.#literalMask = (1 << lp) - 1;
    this.#positionMask = (1 << pb) - 1;
    this.#dictionarySize = Math.max(dictionarySize, 4096);
    this.#size = size;
    this.#coder = new LzmaRangeDecoder(LITERALS + (0x300 << (lc + lp)));
    this.#window = new Uint8Array(Math.min(this.#dictionarySize, FIRST_DICTIONARY));
  }

  /** Whether the stream has ended. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * @param bytes the first `LzmaRangeDecoder.START` bytes of the stream
   * @throws Error if the stream is damaged
   */
  begin(bytes: Uint8Array): void {
    this.#coder.begin(bytes);
  }

  /** Begins a chunk of LZMA2, of `size` bytes of content. `begin` follows. */
  beginChunk(size: number): void {
    this.#size = this.#total + size;
    this.#mayHaveMarker = false;
    this.#isEnded = false;
  }

  /** Resets all but the window, and sets the properties if they are given. */
  resetState(properties?: Pick<LzmaProperties, "lc" | "lp" | "pb">): void {
    this.#coder.forget();
    this.#state = this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
    if (!properties) return;
    this.#lc = properties.lc;
    this.#literalMask = (1 << properties.lp) - 1;
    this.#positionMask = (1 << properties.pb) - 1;
  }

  /** Makes the output so far unknown to later matches. */
  forgetWindow(): void {
    this.#total = 0;
  }

  /** Appends bytes to the output as they are. */
  store(bytes: Uint8Array): void {
    for (const byte of bytes) this.#put(byte);
    this.#handOut();
  }

  /**
   * Decodes until a piece of output is full, too little input is left for a symbol, or the stream
   * ends.
   *
   * @param isLast whether no more input follows
   * @returns the number of input bytes used
   * @throws Error if the stream is damaged or truncated
   */
  run(input: Uint8Array, isLast: boolean): number {
    this.#coder.supply(input);
    const limit = isLast ? Number.POSITIVE_INFINITY : input.length - SYMBOL_INPUT;
    const enough = this.#total + PIECE;
    while (!this.#isEnded && this.#total < enough && this.#coder.taken <= limit) this.#symbol();
    this.#handOut();
    return this.#coder.taken;
  }

  /** Takes the pieces of output decoded since the last call. */
  takeOutput(): Uint8Array[] {
    return this.#pieces.splice(0);
  }

  #symbol(): void {
    const isAtEnd = this.#total === this.#size;
    if (isAtEnd && this.#coder.mayEnd) {
      this.#isEnded = true;
      return;
    }
    if (isAtEnd && !this.#mayHaveMarker) throw new Error("it is damaged");
    const position = this.#total & this.#positionMask;
    const state = this.#state;
    if (this.#coder.bit(IS_MATCH + (state << 4) + position) === 0) {
      if (isAtEnd) throw new Error("it has more content than its header states");
      this.#literal();
      return;
    }
    let length: number;
    if (this.#coder.bit(IS_REP + state) === 0) {
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      length = this.#length(MATCH_LENGTH, position);
      this.#state = state < 7 ? 7 : 10;
      this.#rep0 = this.#distance(length);
      if (this.#rep0 === END_MARKER) {
        this.#end();
        return;
      }
    } else {
      if (this.#total === 0) throw new Error("it is damaged");
      if (this.#coder.bit(IS_REP_G0 + state) === 0) {
        if (this.#coder.bit(IS_REP0_LONG + (state << 4) + position) === 0) {
          this.#state = state < 7 ? 9 : 11;
          this.#copy(1);
          return;
        }
      } else this.#useOlderRep(state);
      length = this.#length(REP_LENGTH, position);
      this.#state = state < 7 ? 8 : 11;
    }
    this.#copy(length + MIN_MATCH);
  }

  #end(): void {
    if (!this.#coder.mayEnd) throw new Error("it is damaged");
    if (this.#size !== undefined && this.#total !== this.#size) throw new Error("it has less content than its header states");
    this.#isEnded = true;
  }

  #useOlderRep(state: number): void {
    let distance = this.#rep1;
    if (this.#coder.bit(IS_REP_G1 + state) !== 0) {
      if (this.#coder.bit(IS_REP_G2 + state) === 0) distance = this.#rep2;
      else {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
  }

  #literal(): void {
    const before = this.#total > 0 ? this.#byteBack(0) : 0;
    const choice = ((this.#total & this.#literalMask) << this.#lc) + (before >> (8 - this.#lc));
    const base = LITERALS + 0x300 * choice;
    let symbol = 1;
    if (this.#state >= 7) {
      let match = this.#byteBack(this.#rep0);
      do {
        const matchBit = (match >> 7) & 1;
        match <<= 1;
        const bit = this.#coder.bit(base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#coder.bit(base + symbol);
    this.#put(symbol & 0xff);
    this.#state = this.#state < 4 ? 0 : this.#state - (this.#state < 10 ? 3 : 6);
  }

  #length(base: number, position: number): number {
    if (this.#coder.bit(base) === 0) return this.#coder.tree(base + LENGTH_LOW + (position << 3), 3);
    if (this.#coder.bit(base + 1) === 0) return 8 + this.#coder.tree(base + LENGTH_MIDDLE + (position << 3), 3);
    return 16 + this.#coder.tree(base + LENGTH_HIGH, 8);
  }

  #distance(length: number): number {
    const slot = this.#coder.tree(POSITION_SLOT + (Math.min(length, 3) << 6), 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const start = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return start + this.#coder.reverseTree(POSITION_SPECIAL + start - slot, bits);
    // A distance can have 32 bits, which shifts would turn negative.
    return start + this.#coder.directBits(bits - 4) * 16 + this.#coder.reverseTree(POSITION_ALIGN, 4);
  }

  #copy(length: number): void {
    if (this.#rep0 >= this.#total || this.#rep0 >= this.#dictionarySize) throw new Error("it is damaged");
    if (this.#size !== undefined && length > this.#size - this.#total)
      throw new Error("it has more content than its header states");
    const distance = this.#rep0 + 1;
    for (let i = 0; i < length; i++) {
      if (this.#at === this.#window.length) this.#wrap();
      let from = this.#at - distance;
      if (from < 0) from += this.#window.length;
      this.#window[this.#at++] = this.#window[from] as number;
    }
    this.#total += length;
  }

  #put(byte: number): void {
    if (this.#at === this.#window.length) this.#wrap();
    this.#window[this.#at++] = byte;
    this.#total++;
  }

  /** @param distance 0 for the last byte */
  #byteBack(distance: number): number {
    const from = this.#at - distance - 1;
    return this.#window[from < 0 ? from + this.#window.length : from] as number;
  }

  /** Makes room at the window's end: grows the window, or continues at its beginning. */
  #wrap(): void {
    this.#handOut();
    if (this.#window.length < this.#dictionarySize) {
      const larger = new Uint8Array(Math.min(this.#window.length * 2, this.#dictionarySize));
      larger.set(this.#window);
      this.#window = larger;
      return;
    }
    this.#at = 0;
    this.#handedOut = 0;
  }

  #handOut(): void {
    if (this.#at > this.#handedOut) this.#pieces.push(this.#window.slice(this.#handedOut, this.#at));
    this.#handedOut = this.#at;
  }
}
