import { concatBytes, EMPTY_BYTES } from "../bytes.ts";

/** A filter of .xz besides LZMA2. It keeps the length of what it decodes. */
export interface XzFilter {
  /**
   * Decodes bytes in place.
   *
   * @param bytes those that the last call left, and more
   * @param position of the first byte in the whole, modulo 2^32
   * @returns how many bytes are done. The rest, a few, needs more bytes after it
   */
  decode(bytes: Uint8Array, position: number): number;
}

class Stage {
  readonly #filter: XzFilter;
  #position: number;
  #rest: Uint8Array = EMPTY_BYTES;

  constructor(filter: XzFilter, start: number) {
    this.#filter = filter;
    this.#position = start;
  }

  /** @param bytes become the stage's own */
  push(bytes: Uint8Array): Uint8Array {
    const all = this.#rest.length > 0 ? concatBytes([this.#rest, bytes]) : bytes;
    const done = this.#filter.decode(all, this.#position);
    this.#position = (this.#position + done) >>> 0;
    this.#rest = all.slice(done);
    return all.subarray(0, done);
  }

  /** The last bytes, which stay as they are: no filter finds an instruction in them. */
  end(): Uint8Array {
    return this.#rest;
  }
}

/** Applies the filters of a block to what LZMA2 gives. */
export class XzFilterChain {
  readonly #stages: Stage[] = [];

  /**
   * Adds a filter, which is applied after those before.
   *
   * @param start what the filter adds to its position
   */
  add(filter: XzFilter, start = 0): void {
    this.#stages.push(new Stage(filter, start));
  }

  /** @param bytes become the chain's own. @returns what is done, possibly nothing */
  push(bytes: Uint8Array): Uint8Array {
    return this.#from(0, bytes);
  }

  /** The bytes that the filters still hold, at the end of a block. */
  *end(): Generator<Uint8Array> {
    for (const [i, stage] of this.#stages.entries()) yield this.#from(i + 1, stage.end());
  }

  #from(first: number, bytes: Uint8Array): Uint8Array {
    let done = bytes;
    for (const stage of this.#stages.slice(first)) done = stage.push(done);
    return done;
  }
}
