import { NAR_MAX_TARGET_LENGTH, narTokenSize } from "./nar-grammar.ts";

/**
 * Takes tokens, lengths and raw bytes out of an archive that comes in chunks. Chunks are never joined: a token is used where it
 * lies, and only one that is split between chunks is collected in a buffer, which is as large as the longest token may be.
 *
 * Whatever is taken is taken whole or not at all: where the chunk ends too early, the method says so, and is to be called again
 * with the next chunk.
 */
export class NarTokenizer {
  /** Makes the error for what is wrong at an offset of the archive. */
  readonly #error: (offset: number, problem: string) => Error;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes of the chunks before this one. */
  #base = 0;
  readonly #carry = new Uint8Array(narTokenSize(NAR_MAX_TARGET_LENGTH));
  #carried = 0;

  /** Where the current token's bytes are. */
  #source: Uint8Array = this.#carry;
  #start = 0;
  #length = 0;
  #tokenOffset = 0;

  constructor(error: (offset: number, problem: string) => Error) {
    this.#error = error;
  }

  /** Bytes of the archive that were taken. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Offset in the archive of the token or length that was read last, or that is being read. */
  get tokenOffset(): number {
    return this.#tokenOffset;
  }

  /** Whether this chunk has nothing more. */
  get drained(): boolean {
    return this.#at === this.#chunk.length;
  }

  /** Goes on to `chunk`; the one before must be drained. */
  next(chunk: Uint8Array): void {
    this.#base += this.#chunk.length;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Takes `bytes` if they are what comes next, all of them in this chunk. */
  skip(bytes: Uint8Array): boolean {
    const end = this.#at + bytes.length;
    if (this.#carried > 0 || end > this.#chunk.length) return false;
    for (let i = 0; i < bytes.length; i++) if (this.#chunk[this.#at + i] !== bytes[i]) return false;
    this.#at = end;
    return true;
  }

  /** Reads a token of at most `maxLength` bytes, for `is` and `copy` to look at. */
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

  /** Reads the length that stands before content. */
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

  /** At most `count` raw bytes, as a view of the chunk. */
  take(count: number): Uint8Array {
    const start = this.#at;
    this.#at = Math.min(start + count, this.#chunk.length);
    return this.#chunk.subarray(start, this.#at);
  }

  /** Whether the token is `bytes`. */
  is(bytes: Uint8Array): boolean {
    if (this.#length !== bytes.length) return false;
    for (let i = 0; i < bytes.length; i++) if (this.#source[this.#start + i] !== bytes[i]) return false;
    return true;
  }

  /** A copy of the token's bytes. */
  copy(): Uint8Array {
    return this.#source.slice(this.#start, this.#start + this.#length);
  }

  #boundedLength(bytes: Uint8Array, at: number, maxLength: number): number {
    const length = lengthAt(bytes, at);
    if (length > maxLength) throw this.#error(this.#tokenOffset, `a token of ${length} bytes, where ${maxLength} is the most`);
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

  /** Moves bytes of the chunk to the carry until it holds `count`. False if the chunk ends before. */
  #fillCarry(count: number): boolean {
    if (this.#carried < count) {
      const bytes = this.take(count - this.#carried);
      this.#carry.set(bytes, this.#carried);
      this.#carried += bytes.length;
    }
    return this.#carried >= count;
  }
}

/** A 64-bit little-endian number; rounded, but still over 2^53, where it is that large. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const byte = (i: number) => bytes[at + i] as number;
  const low = (byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)) >>> 0;
  const high = (byte(4) | (byte(5) << 8) | (byte(6) << 16) | (byte(7) << 24)) >>> 0;
  return high * 0x1_0000_0000 + low;
}
