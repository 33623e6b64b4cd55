import { concatBytes, equalBytes, utf8 } from "../bytes.ts";
import type { HashEngine, HashStream } from "../hash/engine.ts";
import type { HashAlgorithm } from "../nix/hash.ts";
import { Turn } from "../turn.ts";

const HASH_PART_LENGTH = 32;

/** What `hashModulo` calculates. */
export interface Modulus {
  readonly algorithm: HashAlgorithm;
  /** The 32 characters that are zeroed. */
  readonly hashPart: string;
  /** A digest that is answered too if Nix 2.17 to 2.34 would calculate it. */
  readonly expected?: Uint8Array | undefined;
}

/**
 * The digest that Nix takes of content that refers to its own store path, whose hash part can't be
 * known before the digest is. Nix hashes the content with each occurrence of the hash part zeroed,
 * and then, up to 2.16 and from 2.35, `|` and the decimal offset of each occurrence. So content
 * that was zeroed already has another digest. Nix 2.17 to 2.34 leaves the offsets out by mistake
 * (NixOS/nix#15837).
 *
 * Memory grows neither with the content nor with the number of occurrences. For that, the content
 * is read again where the offsets matter.
 *
 * @param open opens the content from its start, once or twice
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

/** The content with each occurrence of `hashPart` zeroed, and the offsets of the occurrences. */
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

/** Zeroes a hash part in content that comes in pieces. */
export class HashPartEraser {
  readonly #hashPart: Uint8Array;
  /** How far the search may go on from a window whose last byte is this one (Horspool's rule). */
  readonly #skip = new Uint8Array(256).fill(HASH_PART_LENGTH);
  /** The end of what came, in which an occurrence may have begun. */
  #carry: Uint8Array = new Uint8Array(0);
  /** Bytes that were given out. */
  #offset = 0;

  /** @param hashPart 32 characters */
  constructor(hashPart: string) {
    this.#hashPart = utf8(hashPart);
    for (let i = 0; i < HASH_PART_LENGTH - 1; i++) this.#skip[this.#hashPart[i] as number] = HASH_PART_LENGTH - 1 - i;
  }

  /**
   * @returns the next bytes to hash, and where in the whole content the occurrences begin that end
   *   in this piece; `piece` stays as it is
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
