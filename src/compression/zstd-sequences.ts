import { BackwardBits } from "./backward-bits.ts";
import { type FseTable, fseTable, readFseTable, singleTable } from "./zstd-fse.ts";

/** Limits and predefined table of one kind of code. */
interface Codes {
  readonly maxLog: number;
  readonly maxSymbol: number;
  readonly predefined: FseTable;
}

const ones = (count: number): number[] => Array<number>(count).fill(1);
const twos = (count: number): number[] => Array<number>(count).fill(2);
const rare = (count: number): number[] => Array<number>(count).fill(-1);

/** Number of extra bits of each code, and the code's number if none of these bits is set. */
const LITERALS_BITS = [...Array<number>(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERALS_BASES = bases(LITERALS_BITS, 0);
const MATCH_BITS = [...Array<number>(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BASES = bases(MATCH_BITS, 3);

/** Predefined tables: RFC 8878, 3.1.1.3.2.2. */
const LITERALS: Codes = {
  maxLog: 9,
  maxSymbol: 35,
  predefined: fseTable([4, 3, ...twos(11), ...ones(3), ...twos(9), 3, 2, ...ones(5), ...rare(4)], 6),
};
const OFFSETS: Codes = {
  maxLog: 8,
  maxSymbol: 31,
  predefined: fseTable([...ones(6), ...twos(3), ...ones(15), ...rare(5)], 5),
};
const MATCHES: Codes = {
  maxLog: 9,
  maxSymbol: 52,
  predefined: fseTable([1, 4, 3, ...twos(6), ...ones(37), ...rare(7)], 6),
};

/** Largest code whose offsets fit in a supported window. */
const MAX_OFFSET_CODE = 28;

function bases(bits: readonly number[], first: number): number[] {
  let base = first;
  return bits.map((count) => {
    const its = base;
    base += 1 << count;
    return its;
  });
}

/** Where to write a block's content. */
export interface BlockOutput {
  readonly buffer: Uint8Array;
  /** Offset of the first byte to which a match may refer. */
  readonly first: number;
  /** Offset of the content. */
  readonly start: number;
  /** Offset that the content must not exceed. */
  readonly limit: number;
}

/**
 * Executes the sequences of a frame's blocks. It keeps the tables and offsets that later blocks may
 * reuse.
 */
export class ZstdSequences {
  #literals: FseTable | undefined;
  #offsets: FseTable | undefined;
  #matches: FseTable | undefined;
  #offset1 = 1;
  #offset2 = 4;
  #offset3 = 8;

  /**
   * Executes the sequences of a block.
   *
   * @param section the block after its literals
   * @returns the offset in the buffer after the content
   * @throws Error if the block is damaged
   */
  execute(section: Uint8Array, literals: Uint8Array, output: BlockOutput): number {
    const [count, headerLength] = readCount(section);
    if (count === 0) {
      if (headerLength !== section.length) throw new Error("a block is damaged");
      return append(literals, 0, literals.length, output, output.start);
    }
    const modes = section[headerLength];
    if (modes === undefined || (modes & 3) !== 0) throw new Error("a block is damaged");
    let at = headerLength + 1;
    const table = (mode: number, codes: Codes, earlier: FseTable | undefined): FseTable => {
      if (mode === 0) return codes.predefined;
      if (mode === 1) {
        const symbol = section[at++];
        if (symbol === undefined || symbol > codes.maxSymbol) throw new Error("a block is damaged");
        return singleTable(symbol);
      }
      if (mode === 2) {
        const [read, length] = readFseTable(section.subarray(at), codes.maxLog, codes.maxSymbol);
        at += length;
        return read;
      }
      if (!earlier) throw new Error("a block is damaged");
      return earlier;
    };
    this.#literals = table(modes >> 6, LITERALS, this.#literals);
    this.#offsets = table((modes >> 4) & 3, OFFSETS, this.#offsets);
    this.#matches = table((modes >> 2) & 3, MATCHES, this.#matches);
    return this.#run(count, new BackwardBits(section.subarray(at)), literals, output);
  }

  #run(count: number, bits: BackwardBits, literals: Uint8Array, output: BlockOutput): number {
    const [ofLiterals, ofOffsets, ofMatches] = [this.#literals, this.#offsets, this.#matches];
    if (!ofLiterals || !ofOffsets || !ofMatches) throw new TypeError("the tables were not read");
    const { buffer, first, limit } = output;
    let literalsState = bits.read(ofLiterals.log);
    let offsetsState = bits.read(ofOffsets.log);
    let matchesState = bits.read(ofMatches.log);
    let taken = 0;
    let to = output.start;
    for (let i = 0; ; ) {
      const offsetCode = ofOffsets.symbols[offsetsState] as number;
      if (offsetCode > MAX_OFFSET_CODE) throw new Error("a block refers to bytes outside the window");
      const offsetValue = (1 << offsetCode) + bits.read(offsetCode);
      const matchCode = ofMatches.symbols[matchesState] as number;
      const length = (MATCH_BASES[matchCode] as number) + bits.read(MATCH_BITS[matchCode] as number);
      const literalsCode = ofLiterals.symbols[literalsState] as number;
      const literalCount = (LITERALS_BASES[literalsCode] as number) + bits.read(LITERALS_BITS[literalsCode] as number);
      const offset = this.#nextOffset(offsetValue, literalCount === 0);
      to = append(literals, taken, literalCount, output, to);
      taken += literalCount;
      if (offset > to - first) throw new Error("a block refers to bytes outside the window");
      if (length > limit - to) throw new Error("a block is too large");
      if (length > 32 && offset >= length) buffer.copyWithin(to, to - offset, to - offset + length);
      else for (let k = to; k < to + length; k++) buffer[k] = buffer[k - offset] as number;
      to += length;
      if (++i === count) break;
      literalsState = (ofLiterals.bases[literalsState] as number) + bits.read(ofLiterals.bits[literalsState] as number);
      matchesState = (ofMatches.bases[matchesState] as number) + bits.read(ofMatches.bits[matchesState] as number);
      offsetsState = (ofOffsets.bases[offsetsState] as number) + bits.read(ofOffsets.bits[offsetsState] as number);
      if (bits.left < 0) throw new Error("a block is damaged");
    }
    if (bits.left !== 0) throw new Error("a block is damaged");
    return append(literals, taken, literals.length - taken, output, to);
  }

  /** Small values stand for one of the last three offsets (RFC 8878, 3.1.1.5). */
  #nextOffset(value: number, isWithoutLiterals: boolean): number {
    const back = value + (isWithoutLiterals ? 1 : 0);
    let offset: number;
    if (value > 3) offset = value - 3;
    else if (back === 1) return this.#offset1;
    else if (back === 2) offset = this.#offset2;
    else if (back === 3) offset = this.#offset3;
    else offset = this.#offset1 - 1;
    if (offset === 0) throw new Error("a block is damaged");
    if (value > 3 || back !== 2) this.#offset3 = this.#offset2;
    this.#offset2 = this.#offset1;
    this.#offset1 = offset;
    return offset;
  }
}

/** @returns the offset in the buffer after the literals */
function append(literals: Uint8Array, from: number, count: number, { buffer, limit }: BlockOutput, to: number): number {
  if (count > literals.length - from) throw new Error("a block is damaged");
  if (count > limit - to) throw new Error("a block is too large");
  if (count > 32) buffer.set(literals.subarray(from, from + count), to);
  else for (let i = 0; i < count; i++) buffer[to + i] = literals[from + i] as number;
  return to + count;
}

function readCount(section: Uint8Array): [count: number, length: number] {
  const [first, second = 0, third = 0] = section;
  if (first === undefined) throw new Error("a block is damaged");
  if (first < 128) return [first, 1];
  return first < 255 ? [((first - 128) << 8) + second, 2] : [second + (third << 8) + 0x7f00, 3];
}
