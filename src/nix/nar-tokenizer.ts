import { NAR_MAX_TARGET_LENGTH, narTokenSize } from "./nar-grammar.ts";

/**
 * Takes tokens, lengths and raw bytes from an archive that comes in chunks. It never joins chunks:
 * it uses a token in place. Only a token that is split between chunks goes into a buffer, which is
 * as large as the longest allowed token.
 *
 * Each method takes its whole item or nothing. If the chunk ends too early, the method says so, and
 * the caller calls it again with the next chunk.
 */
export class NarTokenizer {
  /** Makes the error for a problem at an offset of the archive. */
  readonly #error: (offset: number, problem: string) => Error;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Total length of the previous chunks, in bytes. */
  #base = 0;
  readonly #carry = new Uint8Array(narTokenSize(NAR_MAX_TARGET_LENGTH));
  #carried = 0;

  /** Location of the current token's bytes. */
  #source: Uint8Array = this.#carry;
  #start = 0;
  #length = 0;
  #tokenOffset = 0;

  constructor(error: (offset: number, problem: string) => Error) {
    this.#error = error;
  }

  /** Number of bytes of the archive taken so far. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Offset in the archive of the token or length that was read last or is being read. */
  get tokenOffset(): number {
    return this.#tokenOffset;
  }

  /** Whether the current chunk is used up. */
  get drained(): boolean {
    return this.#at === this.#chunk.length;
  }

  /** Continues with `chunk`; the previous one must be drained. */
  next(chunk: Uint8Array): void {
    this.#base += this.#chunk.length;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Takes `bytes` if they come next and lie entirely in this chunk. */
  skip(bytes: Uint8Array): boolean {
    const end = this.#at + bytes.length;
    if (this.#carried > 0 || end > this.#chunk.length) return false;
    for (let i = 0; i < bytes.length; i++) if (this.#chunk[this.#at + i] !== bytes[i]) return false;
    this.#at = end;
    return true;
  }

  /** Reads a token of at most `maxLength` bytes, for `is` and `copy`. */
  readToken(maxLength: number): boolean {
    const available = this.#chunk.length - this.#at;
    this.#tokenOffset = this.offset - this.#carried;
    if (this.#carried === 0 && available >= 8) {
      const length = this.#boundedLength(this.#chunk, this.#at, maxLength);
      const size = narTokenSize(length);
      if (available >= size) {
        this.#setToken(this.#chunk, this.#at + 8, length);
        this.#at += size;
        return true;
      }
    }
    if (!this.#fillCarry(8)) return false;
    const length = this.#boundedLength(this.#carry, 0, maxLength);
    if (!this.#fillCarry(narTokenSize(length))) return false;
    this.#carried = 0;
    this.#setToken(this.#carry, 8, length);
    return true;
  }

  /** Reads the length field before content. */
  readLength(): number | undefined {
    this.#tokenOffset = this.offset - this.#carried;
    if (this.#carried === 0 && this.#chunk.length - this.#at >= 8) {
      this.#at += 8;
      return lengthAt(this.#chunk, this.#at - 8);
    }
    if (!this.#fillCarry(8)) return undefined;
    this.#carried = 0;
    return lengthAt(this.#carry, 0);
  }

  /** Takes at most `count` raw bytes, as a view of the chunk. */
  take(count: number): Uint8Array {
    const start = this.#at;
    this.#at = Math.min(start + count, this.#chunk.length);
    return this.#chunk.subarray(start, this.#at);
  }

  /** Whether the token equals `bytes`. */
  is(bytes: Uint8Array): boolean {
    if (this.#length !== bytes.length) return false;
    for (let i = 0; i < bytes.length; i++) if (this.#source[this.#start + i] !== bytes[i]) return false;
    return true;
  }

  /** Copies the token's bytes. */
  copy(): Uint8Array {
    return this.#source.slice(this.#start, this.#start + this.#length);
  }

  #boundedLength(bytes: Uint8Array, at: number, maxLength: number): number {
    const length = lengthAt(bytes, at);
    if (length > maxLength) throw this.#error(this.#tokenOffset, `a token has ${length} bytes; the limit is ${maxLength}`);
    return length;
  }

  #setToken(bytes: Uint8Array, start: number, length: number): void {
    this.#source = bytes;
    this.#start = start;
    this.#length = length;
    const end = start + narTokenSize(length) - 8;
    for (let i = start + length; i < end; i++) {
      if (bytes[i] !== 0) throw this.#error(this.#tokenOffset, "the padding is not zero");
    }
  }

  /**
   * Moves bytes from the chunk to the carry until it holds `count`. Returns false if the chunk ends
   * first.
   */
  #fillCarry(count: number): boolean {
    if (this.#carried < count) {
      const bytes = this.take(count - this.#carried);
      this.#carry.set(bytes, this.#carried);
      this.#carried += bytes.length;
    }
    return this.#carried >= count;
  }
}

/** Reads a 64-bit little-endian number. A number above 2^53 is rounded, but stays above 2^53. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const byte = (i: number) => bytes[at + i] as number;
  const low = (byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)) >>> 0;
  const high = (byte(4) | (byte(5) << 8) | (byte(6) << 16) | (byte(7) << 24)) >>> 0;
  return high * 0x1_0000_0000 + low;
}
