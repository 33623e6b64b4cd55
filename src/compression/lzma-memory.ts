import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";
import { LzmaDecoder } from "./lzma-decoder.ts";

/**
 * Maximum size of a dictionary, in bytes: as large as a zstd frame's window. `lzip -9` and `xz -9`
 * use less.
 */
export const MAX_DICTIONARY: number = 128 * 1024 * 1024;

/** Keeps the LZMA decoder of one input, whose streams share it. */
export class LzmaMemory {
  #decoder: LzmaDecoder | undefined;
  #largest = 0;

  /**
   * Reserves memory for the dictionary, and opens the decoder.
   *
   * @param dictionarySize in bytes, at most `MAX_DICTIONARY`
   * @throws StoreError `unavailable` if there is too little memory, or if too many uploads wait
   */
  async open(input: CompressedInput, dictionarySize: number): Promise<LzmaDecoder> {
    if (dictionarySize > this.#largest) {
      this.#decoder = undefined;
      await input.reserve(arrayMemory, dictionarySize);
      this.#largest = dictionarySize;
    }
    this.#decoder ??= new LzmaDecoder();
    this.#decoder.open(dictionarySize);
    return this.#decoder;
  }
}
