import type { BitReader } from "./bit-reader.ts";
import { Bzip2Code } from "./bzip2-huffman.ts";

/** Number of symbols that one code is used for. */
const GROUP = 50;
/** Symbols that are digits of a run's length, which is written with the digits 1 and 2. */
const RUN_A = 0;
const RUN_B = 1;
/** Values above which a run is longer than any block. */
const LONGEST_DIGIT = 2 ** 20;

/** Effect of each byte on a block's CRC-32, whose highest bit comes first. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let i = 0; i < 8; i++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

/**
 * Decodes blocks of bzip2, one after another, which share its memory. First it undoes the prefix
 * codes and moving to front, then the Burrows-Wheeler transform and the runs.
 */
export class Bzip2Block {
  /**
   * For each place in the sorted block: the byte in the lowest 8 bits, and the place of the byte
   * that follows it in the bits above.
   */
  readonly #places: Uint32Array;
  readonly #counts = new Int32Array(256);
  readonly #selectors = new Uint8Array(32_768);
  readonly #front = new Uint8Array(256);

  /** The place of the next byte. */
  #place = 0;
  /** Number of bytes that are still to be read from the places. */
  #left = 0;
  #previous = -1;
  /** Number of equal bytes before the next one. After four of them, a count of more follows. */
  #equal = 0;
  /** Number of copies of the previous byte that are still to be written. */
  #copies = 0;
  #crc = 0;
  #expectedCrc = 0;

  /** @param size maximum length of a block, before the runs are undone, in bytes */
  constructor(size: number) {
    this.#places = new Uint32Array(size);
  }

  /**
   * Decodes a block after its mark. `read` returns its content.
   *
   * @throws Error if the block is damaged or the input ends
   */
  begin(bits: BitReader): void {
    this.#expectedCrc = (bits.read(16) << 16) | bits.read(16);
    // Only bzip2 0.9.0 and older write randomized blocks.
    if (bits.read(1) !== 0) throw new Error("it has a randomized block, which can't be read here");
    const origin = (bits.read(8) << 16) | bits.read(16);
    const length = this.#readBytes(bits);
    if (origin >= length) throw new Error("it is damaged");
    this.#linkPlaces(length);
    this.#place = (this.#places[origin] as number) >>> 8;
    this.#left = length;
    this.#previous = -1;
    this.#equal = this.#copies = 0;
    this.#crc = -1;
  }

  /**
   * Writes content until `output` is full or the block ends.
   *
   * @returns the number of bytes written
   */
  read(output: Uint8Array): number {
    const places = this.#places;
    let place = this.#place;
    let left = this.#left;
    let previous = this.#previous;
    let equal = this.#equal;
    let copies = this.#copies;
    let crc = this.#crc;
    let at = 0;
    while (at < output.length) {
      if (copies > 0) copies--;
      else {
        if (left === 0) break;
        const entry = places[place] as number;
        const byte = entry & 0xff;
        place = entry >>> 8;
        left--;
        if (equal === 4) {
          copies = byte;
          equal = 0;
          continue;
        }
        equal = byte === previous ? equal + 1 : 1;
        previous = byte;
      }
      output[at++] = previous;
      crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ previous] as number);
    }
    this.#place = place;
    this.#left = left;
    this.#previous = previous;
    this.#equal = equal;
    this.#copies = copies;
    this.#crc = crc;
    return at;
  }

  /**
   * Checks the CRC-32 of the content after all of it was read.
   *
   * @returns the CRC-32
   * @throws Error if it is wrong
   */
  end(): number {
    const crc = ~this.#crc;
    if (crc !== this.#expectedCrc) throw new Error("the checksum of a block is wrong");
    return crc;
  }

  /** Reads the bytes of the sorted block into `#places`, and counts them. Returns their number. */
  #readBytes(bits: BitReader): number {
    const used = readUsedBytes(bits);
    const codeCount = bits.read(3);
    if (codeCount < 2 || codeCount > 6) throw new Error("it is damaged");
    const selectorCount = this.#readSelectors(bits, codeCount);
    const codes = Array.from({ length: codeCount }, () => Bzip2Code.read(bits, used.length + 2));

    const places = this.#places;
    const front = this.#front;
    front.set(used);
    this.#counts.fill(0);
    const end = used.length + 1;
    let length = 0;
    let run = 0;
    let digit = 1;
    for (let selector = 0; selector < selectorCount; selector++) {
      const code = codes[this.#selectors[selector] as number] as Bzip2Code;
      for (let i = 0; i < GROUP; i++) {
        const symbol = code.symbol(bits);
        if (symbol <= RUN_B) {
          if (digit > LONGEST_DIGIT) throw new Error("it is damaged");
          run += symbol === RUN_A ? digit : 2 * digit;
          digit *= 2;
          continue;
        }
        if (run > 0) {
          if (run > places.length - length) throw new Error("it is damaged");
          const byte = front[0] as number;
          places.fill(byte, length, length + run);
          (this.#counts[byte] as number) += run;
          length += run;
          run = 0;
          digit = 1;
        }
        if (symbol === end) return length;
        if (length === places.length) throw new Error("it is damaged");
        const byte = moveToFront(front, symbol - 1);
        places[length++] = byte;
        (this.#counts[byte] as number)++;
      }
    }
    throw new Error("it is damaged");
  }

  #readSelectors(bits: BitReader, codeCount: number): number {
    const count = bits.read(15);
    if (count === 0) throw new Error("it is damaged");
    const codes = Uint8Array.from({ length: codeCount }, (_, i) => i);
    for (let i = 0; i < count; i++) {
      let index = 0;
      for (; bits.read(1) !== 0; index++) if (index === codeCount - 1) throw new Error("it is damaged");
      this.#selectors[i] = moveToFront(codes, index);
    }
    return count;
  }

  /** Writes for each place the place of the byte that follows its byte. */
  #linkPlaces(length: number): void {
    const places = this.#places;
    const counts = this.#counts;
    let start = 0;
    for (let byte = 0; byte < 256; byte++) {
      const count = counts[byte] as number;
      counts[byte] = start;
      start += count;
    }
    for (let i = 0; i < length; i++) {
      const byte = (places[i] as number) & 0xff;
      const place = counts[byte] as number;
      counts[byte] = place + 1;
      (places[place] as number) |= i << 8;
    }
  }
}

/** Reads which bytes a block has. The upper four bits of bytes come first, then the lower. */
function readUsedBytes(bits: BitReader): Uint8Array {
  const rows = bits.read(16);
  const used: number[] = [];
  for (let row = 0; row < 16; row++) {
    if ((rows & (0x8000 >> row)) === 0) continue;
    const columns = bits.read(16);
    for (let column = 0; column < 16; column++) if (columns & (0x8000 >> column)) used.push(16 * row + column);
  }
  if (used.length === 0) throw new Error("it is damaged");
  return Uint8Array.from(used);
}

/** Moves the value at `index` to the front, and returns it. */
function moveToFront(values: Uint8Array, index: number): number {
  const value = values[index] as number;
  if (index < 16) for (let i = index; i > 0; i--) values[i] = values[i - 1] as number;
  else values.copyWithin(1, 0, index);
  values[0] = value;
  return value;
}
