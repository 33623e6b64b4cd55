import { INPUT_SIZE, LzmaKernel } from "./kernel/lzma-kernel.ts";

export interface LzmaProperties {
  /** Number of high bits of the previous byte that select a literal's probabilities. */
  readonly lc: number;
  /** Number of low bits of the position that select a literal's probabilities. `lc + lp` <= 4. */
  readonly lp: number;
  /** Number of low bits of the position that select a match's probabilities. */
  readonly pb: number;
}

/** Size of an output piece, in bytes. A piece may be up to one match longer. */
const PIECE = 256 * 1024;
/** Maximum input of one symbol, in bytes (`LZMA_REQUIRED_INPUT_MAX` of the LZMA SDK). */
const SYMBOL_INPUT = 20;
const MIN_DICTIONARY = 4096;
/** Limit for numbers that the kernel gets. */
const MANY = 2 ** 30;

/** Results of the kernel's `run`. */
const MARKER = 1;
const DAMAGED = 2;
const TOO_LONG = 3;

/**
 * Decodes LZMA streams, one after another. The formats `.lzma` and lzip contain them, and the
 * chunks of LZMA2 are similar. The streams share the dictionary's memory, because an input may have
 * millions of streams. The memory grows with the output, because a header may claim any size.
 */
export class LzmaDecoder {
  /** Number of bytes at the beginning of a stream that `begin` takes. */
  static readonly START = 5;

  readonly #kernel = new LzmaKernel();
  #dictionarySize = 0;
  /** Number of bytes that the output still has, if known. Otherwise an end marker comes. */
  #rest: number | undefined;
  #mayHaveMarker = true;
  #isEnded = false;
  /** Offset in the dictionary of the first byte not yet passed on. */
  #handedOut = 0;
  readonly #pieces: Uint8Array[] = [];

  /** Whether the stream has ended. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Memory of the decoder in bytes. */
  get memorySize(): number {
    return this.#kernel.exports.memory.buffer.byteLength;
  }

  /**
   * Begins with an empty dictionary. `resetState` and `begin` follow.
   *
   * @param dictionarySize in bytes, at most 1 GiB
   */
  open(dictionarySize: number): void {
    this.#dictionarySize = Math.max(dictionarySize, MIN_DICTIONARY);
    this.#kernel.exports.open(this.#dictionarySize);
    this.#handedOut = 0;
  }

  /** Resets all but the dictionary, and sets the properties if they are given. */
  resetState(properties?: LzmaProperties): void {
    const { exports } = this.#kernel;
    if (properties) exports.set_properties(properties.lc, properties.lp, properties.pb);
    exports.reset_state();
  }

  /** Makes the output so far unknown to later matches. */
  forgetDictionary(): void {
    this.#kernel.exports.forget_dictionary();
  }

  /**
   * Begins a stream, or a chunk of LZMA2.
   *
   * @param bytes the first `START` bytes of the stream
   * @param size of the output in bytes, if known
   * @param mayHaveMarker whether an end marker may come, although the size is known
   * @throws Error if the stream is damaged
   */
  begin(bytes: Uint8Array, size: number | undefined, mayHaveMarker: boolean): void {
    if (bytes[0] !== 0 || bytes.length !== LzmaDecoder.START) throw new Error("it is damaged");
    this.#kernel.supply(bytes);
    this.#kernel.exports.begin();
    this.#rest = size;
    this.#mayHaveMarker = mayHaveMarker;
    this.#isEnded = false;
  }

  /** Appends bytes to the output as they are. */
  store(bytes: Uint8Array): void {
    const { exports } = this.#kernel;
    for (let start = 0; start < bytes.length; start += INPUT_SIZE) {
      const input = bytes.subarray(start, start + INPUT_SIZE);
      this.#kernel.supply(input);
      for (let from = 0; from < input.length; ) {
        const count = Math.min(input.length - from, exports.length.value - exports.at.value);
        exports.store_input(from, count);
        from += count;
        this.#handOut();
      }
    }
  }

  /**
   * Decodes some input. Stops when a piece of output is full, too little input is left for a
   * symbol, or the stream ends.
   *
   * @param isLast whether no more input follows
   * @returns the number of input bytes used
   * @throws Error if the stream is damaged or truncated
   * @throws StoreError `unavailable` if there is too little memory
   */
  run(input: Uint8Array, isLast: boolean): number {
    const { exports } = this.#kernel;
    const rest = Math.min(this.#rest ?? MANY, MANY);
    if (rest === 0 && exports.code.value === 0) {
      this.#isEnded = true;
      return 0;
    }
    if (rest === 0 && !this.#mayHaveMarker) throw new Error("it is damaged");
    const piece = input.subarray(0, INPUT_SIZE);
    const limit = isLast && piece.length === input.length ? piece.length : piece.length - SYMBOL_INPUT;
    if (limit < 0) return 0;
    this.#kernel.supply(piece);
    const before = exports.at.value;
    const result = exports.run(limit, Math.max(1, Math.min(PIECE, rest)), rest);
    if (exports.taken.value > piece.length) throw new Error("it is cut short");
    if (this.#rest !== undefined) this.#rest -= exports.at.value - before;
    if (result === TOO_LONG) throw new Error("it has more content than its header states");
    if (result === DAMAGED) throw new Error("it is damaged");
    if (result === MARKER) this.#end();
    this.#handOut();
    return exports.taken.value;
  }

  /** Takes the pieces of output decoded since the last call. */
  takeOutput(): Uint8Array[] {
    return this.#pieces.splice(0);
  }

  #end(): void {
    if (this.#kernel.exports.code.value !== 0) throw new Error("it is damaged");
    if (this.#rest) throw new Error("it has less content than its header states");
    this.#isEnded = true;
  }

  /** Passes output on. At the end of the dictionary's buffer it makes room. */
  #handOut(): void {
    const { exports } = this.#kernel;
    const at = exports.at.value;
    if (at > this.#handedOut) this.#pieces.push(this.#kernel.copy(this.#handedOut, at));
    this.#handedOut = at;
    const length = exports.length.value;
    if (at < length) return;
    if (length < this.#dictionarySize) this.#kernel.lengthen(Math.min(2 * length, this.#dictionarySize));
    else {
      exports.wrap();
      this.#handedOut = 0;
    }
  }
}
