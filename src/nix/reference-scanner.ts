import { StoreError } from "../error.ts";
import { NIXBASE32_ALPHABET } from "./nixbase32.ts";

/** Length of a hash part, in characters. */
const LENGTH = 32;

/** Value of each byte as a digit of a hash part, or `NONE`. */
const DIGIT = new Uint8Array(256);
const NONE = 255;
DIGIT.fill(NONE);
for (let i = 0; i < NIXBASE32_ALPHABET.length; i++) DIGIT[NIXBASE32_ALPHABET.charCodeAt(i)] = i;

/**
 * Number of leading digits of a hash part that index the filter, five bits each. They are few
 * enough for the filter to fit a core's cache.
 */
const KEY_DIGITS = 4;
const KEY_BITS = 5 * KEY_DIGITS;

/**
 * Finds which of the given store paths occur in a stream of bytes, usually a NAR or the content of
 * a file. Like Nix, it searches only for the hash part of a path, 32 characters.
 *
 * It checks the bytes of a 32-byte window from the end. A byte that can't be in a hash part moves
 * the window past it, so most bytes of binary content are never checked. A window of digits is
 * looked up in a filter, then among the candidates. So the number of candidates makes no difference
 * to the speed.
 */
export class ReferenceScanner {
  /** Hash parts not found yet, by their key. Each hash part needs to be found only once. */
  readonly #candidates = new Map<number, Set<string>>();
  readonly #filter = new Uint8Array(2 ** (KEY_BITS - 3));
  readonly #found = new Set<string>();
  /** The last bytes so far, fewer than a hash part has, because a hash part may begin there. */
  readonly #carry = new Uint8Array(2 * LENGTH);
  #carried = 0;

  /**
   * @param hashParts hash parts of the store paths to search for; to find self-references, include
   *   the path's own hash part
   * @throws StoreError `invalid`
   */
  constructor(hashParts: Iterable<string>) {
    for (const hashPart of hashParts) {
      const bytes = Uint8Array.from(hashPart, (char) => char.charCodeAt(0));
      if (bytes.length !== LENGTH || bytes.some((byte) => DIGIT[byte] === NONE))
        throw new StoreError("invalid", `not the hash part of a store path: ${JSON.stringify(hashPart)}`);
      const key = keyAt(bytes, 0);
      const alike = this.#candidates.get(key) ?? new Set();
      this.#candidates.set(key, alike.add(hashPart));
      this.#filter[key >>> 3] = (this.#filter[key >>> 3] as number) | (1 << (key & 7));
    }
  }

  /** The hash parts found so far. */
  get found(): ReadonlySet<string> {
    return this.#found;
  }

  push(bytes: Uint8Array): void {
    // Scan the bytes around the border between the carried bytes and the new ones.
    const met = Math.min(bytes.length, LENGTH - 1);
    this.#carry.set(bytes.subarray(0, met), this.#carried);
    this.#scan(this.#carry.subarray(0, this.#carried + met));
    if (bytes.length >= LENGTH) this.#scan(bytes);
    if (bytes.length >= LENGTH - 1) {
      this.#carry.set(bytes.subarray(bytes.length - LENGTH + 1));
      this.#carried = LENGTH - 1;
      return;
    }
    const length = this.#carried + met;
    const kept = Math.min(length, LENGTH - 1);
    this.#carry.copyWithin(0, length - kept, length);
    this.#carried = kept;
  }

  #scan(bytes: Uint8Array): void {
    /** Number of bytes from `start` that are known to be digits. */
    let known = 0;
    for (let start = 0; start + LENGTH <= bytes.length; ) {
      let at = start + LENGTH - 1;
      const stop = start + known;
      while (at >= stop && DIGIT[bytes[at] as number] !== NONE) at--;
      // The bytes after `at` were just found to be digits.
      if (at >= stop) {
        known = start + LENGTH - 1 - at;
        start = at + 1;
      } else {
        start = this.#scanDigits(bytes, start);
        known = 0;
      }
    }
  }

  /**
   * Checks each window of a run of digits. The first window begins at `start`.
   *
   * @returns the offset after the run
   */
  #scanDigits(bytes: Uint8Array, start: number): number {
    const filter = this.#filter;
    let key = keyAt(bytes, start);
    for (let from = start; ; from++) {
      if (((filter[key >>> 3] as number) >>> (key & 7)) & 1) this.#look(bytes, from, key);
      const next = from + LENGTH;
      if (next >= bytes.length || DIGIT[bytes[next] as number] === NONE) return next + 1;
      key = (key >>> 5) | ((DIGIT[bytes[from + KEY_DIGITS] as number] as number) << (KEY_BITS - 5));
    }
  }

  #look(bytes: Uint8Array, start: number, key: number): void {
    const text = String.fromCharCode(...bytes.subarray(start, start + LENGTH));
    const alike = this.#candidates.get(key);
    if (!alike?.delete(text)) return;
    this.#found.add(text);
    if (alike.size === 0) this.#filter[key >>> 3] = (this.#filter[key >>> 3] as number) & ~(1 << (key & 7));
  }
}

function keyAt(bytes: Uint8Array, at: number): number {
  let key = 0;
  for (let i = 0; i < KEY_DIGITS; i++) key |= (DIGIT[bytes[at + i] as number] as number) << (5 * i);
  return key;
}
