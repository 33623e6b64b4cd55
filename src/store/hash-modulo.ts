import { concatBytes, utf8 } from "../bytes.ts";

const HASH_PART_LENGTH = 32;

/**
 * What Nix hashes of content that refers to its own store path, whose hash part can't be known before the hash is: the content with
 * each occurrence of the hash part zeroed, then `|` and the decimal offset of each, so that content that was zeroed already has
 * another hash.
 */
export class HashModulo {
  readonly #hashPart: Uint8Array;
  /** How far the search may go on from a window whose last byte is this one (Horspool's rule). */
  readonly #skip = new Uint8Array(256).fill(HASH_PART_LENGTH);
  /** The end of what came, in which an occurrence may have begun. */
  #carry: Uint8Array = new Uint8Array(0);
  /** Bytes that were given out. */
  #offset = 0;
  readonly #found: number[] = [];

  /** @param hashPart the 32 characters */
  constructor(hashPart: string) {
    this.#hashPart = utf8(hashPart);
    for (let i = 0; i < HASH_PART_LENGTH - 1; i++) this.#skip[this.#hashPart[i] as number] = HASH_PART_LENGTH - 1 - i;
  }

  /** @returns the next bytes to hash; `bytes` stay as they are */
  push(bytes: Uint8Array): Uint8Array {
    const joined = concatBytes([this.#carry, bytes]);
    for (let end = HASH_PART_LENGTH - 1; end < joined.length; ) {
      const start = end - HASH_PART_LENGTH + 1;
      if (this.#matches(joined, start)) {
        this.#found.push(this.#offset + start);
        joined.fill(0, start, end + 1);
        end += HASH_PART_LENGTH;
      } else {
        end += this.#skip[joined[end] as number] as number;
      }
    }
    const ready = Math.max(0, joined.length - HASH_PART_LENGTH + 1);
    this.#carry = joined.slice(ready);
    this.#offset += ready;
    return joined.subarray(0, ready);
  }

  /** @returns the last bytes to hash */
  end(): Uint8Array {
    return concatBytes([this.#carry, ...this.#found.map((offset) => utf8(`|${offset}`))]);
  }

  #matches(bytes: Uint8Array, start: number): boolean {
    for (let i = HASH_PART_LENGTH - 1; i >= 0; i--) if (bytes[start + i] !== this.#hashPart[i]) return false;
    return true;
  }
}
