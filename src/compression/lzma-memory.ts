import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";
import { LzmaDecoder } from "./lzma-decoder.ts";

/**
 * Maximum size of a dictionary, in bytes: as large as a zstd frame's window. `lzip -9` and `xz -9`
 * use less.
 */
export const MAX_DICTIONARY: number = 128 * 1024 * 1024;

/** Memory of a decoder in addition to its dictionary, at most, in bytes. */
const EXTRA = 256 * 1024;
/** Maximum memory of all idle decoders, in bytes. */
const IDLE_MEMORY = 32 * 1024 * 1024;
/**
 * Decoders of inputs that have ended, the smallest first. Later inputs use them: each decoder is a
 * WebAssembly instance, of which Chromium has room for some hundred in all threads of a page. The
 * engine frees an instance late, because it looks small.
 */
const idle: LzmaDecoder[] = [];

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
      this.#release();
      await input.reserve(arrayMemory, dictionarySize);
      this.#largest = dictionarySize;
    }
    if (!this.#decoder) {
      this.#decoder = takeIdle(this.#largest + EXTRA) ?? new LzmaDecoder();
      input.atEnd(() => this.#release());
    }
    this.#decoder.open(dictionarySize);
    return this.#decoder;
  }

  #release(): void {
    if (this.#decoder) giveIdle(this.#decoder);
    this.#decoder = undefined;
  }
}

/**
 * Takes the largest idle decoder that has at most `most` bytes. A decoder's memory never shrinks,
 * so with a larger one, an input would use more memory than it has reserved.
 */
function takeIdle(most: number): LzmaDecoder | undefined {
  const at = idle.findLastIndex(({ memorySize }) => memorySize <= most);
  return at === -1 ? undefined : idle.splice(at, 1)[0];
}

function giveIdle(decoder: LzmaDecoder): void {
  // The input may have been abandoned before all its output was taken.
  decoder.takeOutput();
  const larger = idle.findIndex(({ memorySize }) => memorySize > decoder.memorySize);
  idle.splice(larger === -1 ? idle.length : larger, 0, decoder);
  while (idle.reduce((sum, { memorySize }) => sum + memorySize, 0) > IDLE_MEMORY) idle.pop();
}
