import { concatBytes, equalBytes, utf8 } from "../bytes.ts";
import type { HashEngine, HashStream } from "../hash/engine.ts";
import type { HashAlgorithm } from "../nix/hash.ts";
import { Turn } from "../turn.ts";

const HASH_PART_LENGTH = 32;

/** Describes the calculation of `hashModulo`. */
export interface Modulus {
  readonly algorithm: HashAlgorithm;
  /** The 32 characters that are zeroed. */
  readonly hashPart: string;
  /** A digest to return as well, if Nix 2.17 to 2.34 would calculate it. */
  readonly expected?: Uint8Array | undefined;
}

/**
 * Calculates Nix's digest of content that refers to its own store path. The digest determines the
 * path's hash part, so Nix hashes the content with each occurrence of the hash part zeroed. Nix up
 * to 2.16 and from 2.35 then also hashes `|` and the decimal offset of each occurrence. So content
 * that contained zeros from the start has another digest. Nix 2.17 to 2.34 omits the offsets by
 * mistake (NixOS/nix#15837).
 *
 * Memory grows neither with the content nor with the number of occurrences. To achieve this, the
 * function reads the content a second time if it needs the offsets.
 *
 * @param open opens the content from its start; called once or twice
 */
export async function hashModulo(
  engine: HashEngine,
  open: () => AsyncIterable<Uint8Array>,
  { algorithm, hashPart, expected }: Modulus,
): Promise<Uint8Array> {
  const withOffsets = await engine.stream(algorithm);
  let withoutOffsets: HashStream | undefined;
  try {
    withoutOffsets = expected && (await engine.stream(algorithm));
    let occurrences = 0;
    for await (const { bytes, offsets } of erased(open(), hashPart)) {
      occurrences += offsets.length;
      await Promise.all([withOffsets.update(bytes), withoutOffsets?.update(bytes)]);
    }
    const older = await withoutOffsets?.digest();
    if (older && expected && equalBytes(older, expected)) {
      withOffsets.abort();
      return older;
    }
    if (occurrences > 0) {
      for await (const { offsets } of erased(open(), hashPart)) {
        if (offsets.length > 0) await withOffsets.update(utf8(offsets.map((offset) => `|${offset}`).join("")));
      }
    }
    return await withOffsets.digest();
  } catch (error) {
    withOffsets.abort();
    withoutOffsets?.abort();
    throw error;
  }
}

/**
 * Yields the content with each occurrence of `hashPart` zeroed, and the offsets of the occurrences.
 */
async function* erased(
  content: AsyncIterable<Uint8Array>,
  hashPart: string,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly offsets: readonly number[] }> {
  const eraser = new HashPartEraser(hashPart);
  const turn = new Turn();
  for await (const piece of content) {
    yield eraser.push(piece);
    await turn.pass();
  }
  yield { bytes: eraser.end(), offsets: [] };
}

/** Zeroes a hash part in content that arrives in pieces. */
export class HashPartEraser {
  readonly #hashPart: Uint8Array;
  /**
   * Distance to advance the search from a window that ends with this byte (Horspool's algorithm).
   */
  readonly #skip = new Uint8Array(256).fill(HASH_PART_LENGTH);
  /** The last bytes of the input, in which an occurrence may have begun. */
  #carry: Uint8Array = new Uint8Array(0);
  /** Bytes returned so far. */
  #offset = 0;

  /** @param hashPart 32 characters */
  constructor(hashPart: string) {
    this.#hashPart = utf8(hashPart);
    for (let i = 0; i < HASH_PART_LENGTH - 1; i++) this.#skip[this.#hashPart[i] as number] = HASH_PART_LENGTH - 1 - i;
  }

  /**
   * Adds a piece, which stays unchanged.
   *
   * @returns the next bytes to hash, and the offset in the whole content of each occurrence that
   *   ends in this piece
   */
  push(piece: Uint8Array): { readonly bytes: Uint8Array; readonly offsets: readonly number[] } {
    const joined = concatBytes([this.#carry, piece]);
    const offsets: number[] = [];
    for (let end = HASH_PART_LENGTH - 1; end < joined.length; ) {
      const start = end - HASH_PART_LENGTH + 1;
      if (this.#matches(joined, start)) {
        offsets.push(this.#offset + start);
        joined.fill(0, start, end + 1);
        end += HASH_PART_LENGTH;
      } else {
        end += this.#skip[joined[end] as number] as number;
      }
    }
    const ready = Math.max(0, joined.length - HASH_PART_LENGTH + 1);
    this.#carry = joined.slice(ready);
    this.#offset += ready;
    return { bytes: joined.subarray(0, ready), offsets };
  }

  /** @returns the last bytes to hash */
  end(): Uint8Array {
    return this.#carry;
  }

  #matches(bytes: Uint8Array, start: number): boolean {
    for (let i = HASH_PART_LENGTH - 1; i >= 0; i--) if (bytes[start + i] !== this.#hashPart[i]) return false;
    return true;
  }
}
