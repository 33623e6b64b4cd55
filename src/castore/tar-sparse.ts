import { TarFault, tarSize } from "./tar-header.ts";

/** Maximum number of segments in one file. Each segment takes two numbers in memory. */
const MAX_SEGMENTS = 512 * 1024;
/** Length of a segment in GNU tar's old headers in bytes: 12 for the offset, 12 for the length. */
const OLD_SEGMENT_SIZE = 24;
const MAX_DIGITS = 20;

const NEWLINE = 0x0a;

/**
 * The map of a sparse file: the segments whose bytes the archive has. The rest of the file is
 * zeros. Offsets and lengths are in bytes.
 */
export class SparseMap {
  /** Size of the file with its holes. */
  size: number | undefined;
  /**
   * Version of GNU tar's sparse format in pax archives. In version 1.0 the map is at the beginning
   * of the content.
   */
  major = 0;
  minor = 0;
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];

  /** Adds a segment. @throws TarFault if the file has too many segments */
  add(offset: number, length: number): void {
    if (this.offsets.length === MAX_SEGMENTS) throw new TarFault(`a sparse file has more than ${MAX_SEGMENTS} segments`);
    this.offsets.push(offset);
    this.lengths.push(length);
  }

  /**
   * Adds the segments in a header of GNU tar's old format, or in a block that continues it. The
   * first segment without an offset ends the list.
   *
   * @param at offset of the first segment in `block`
   * @param count number of segments that fit there
   */
  addOld(block: Uint8Array, at: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const segment = block.subarray(at + i * OLD_SEGMENT_SIZE, at + (i + 1) * OLD_SEGMENT_SIZE);
      if (segment[0] === 0) return;
      this.add(tarSize(segment.subarray(0, 12)), tarSize(segment.subarray(12)));
    }
  }

  /**
   * Checks the map against the number of content bytes in the archive.
   *
   * @param stored bytes of content in the archive
   * @returns size of the file in bytes
   * @throws TarFault if segments overlap, are out of order or lie beyond the file's end, or if
   *   their lengths do not add up to `stored`
   */
  check(stored: number): number {
    const size = this.size ?? stored;
    let end = 0;
    let total = 0;
    for (const [i, offset] of this.offsets.entries()) {
      const length = this.lengths[i] as number;
      if (offset < end) throw new TarFault("a sparse file's segments are out of order");
      end = offset + length;
      total += length;
    }
    if (end > size) throw new TarFault("a sparse file has segments beyond its end");
    if (total !== stored) throw new TarFault(`a sparse file's segments have ${total} bytes, and the archive has ${stored}`);
    return size;
  }
}

/**
 * Yields the segments in a `GNU.sparse.map` record: offsets and lengths alternate, separated by
 * commas.
 *
 * @throws TarFault if the text has another form
 */
export function* sparseMapOf(text: string): Generator<readonly [offset: number, length: number]> {
  const segment = /(\d{1,15}),(\d{1,15})(?:,|$)/y;
  for (let at = 0; at < text.length; at = segment.lastIndex) {
    segment.lastIndex = at;
    const [, offset, length] = segment.exec(text) ?? [];
    if (offset === undefined || length === undefined) throw new TarFault("a sparse file's map is not pairs of numbers");
    yield [Number(offset), Number(length)];
  }
}

/**
 * Reads the map at the beginning of a sparse file's content (version 1.0). Each line is a number.
 * The first number is the count of segments, and then offsets and lengths alternate.
 */
export class SparseMapReader {
  readonly #map: SparseMap;
  #segments: number | undefined;
  #offset: number | undefined;
  #number = 0;
  #digits = 0;

  constructor(map: SparseMap) {
    this.#map = map;
  }

  /** Whether all segments have come. */
  get isComplete(): boolean {
    return this.#map.offsets.length === this.#segments;
  }

  /**
   * Reads the map up to its end. Ignores the padding after it.
   *
   * @throws TarFault if the map is not lines of numbers
   */
  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.isComplete) return;
      const digit = byte - 0x30;
      if (digit >= 0 && digit <= 9 && this.#digits < MAX_DIGITS) {
        this.#number = this.#number * 10 + digit;
        this.#digits++;
      } else if (byte === NEWLINE && this.#digits > 0 && Number.isSafeInteger(this.#number)) this.#line();
      else throw new TarFault("a sparse file's map is not lines of numbers");
    }
  }

  #line(): void {
    const number = this.#number;
    this.#number = 0;
    this.#digits = 0;
    if (this.#segments === undefined) this.#segments = number;
    else if (this.#offset === undefined) this.#offset = number;
    else {
      this.#map.add(this.#offset, number);
      this.#offset = undefined;
    }
  }
}
