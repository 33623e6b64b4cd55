/// <reference path="./untyped-libraries.d.ts" />
import bzip2 from "unbzip2-stream/lib/bzip2.js";
import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";

/** Size of a block before the last step of compression, in bytes for each level. */
const BLOCK_SIZE = 100_000;
/** Maximum growth of a block by compression, including its tables, in bytes. */
const OVERHEAD = 25_000;
/** Maximum size of an output piece, in bytes. */
const PIECE = 256 * 1024;
/** Maximum memory of a decoder, in bytes. Most of it holds a block's content. */
const MEMORY = 52 * 1024 * 1024;
/** Maximum length of a run, which four equal bytes and a count represent. */
const MAX_RUN = 259;

/**
 * Makes a decoder that reads one stream of bzip2 per call. The streams share its memory, because an
 * input may have many empty streams.
 */
export function bzip2Decoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  const output = new Output();
  let memory = new Int32Array(0);
  return (input) =>
    stream(input, output, (length) => {
      if (memory.length !== length) memory = new Int32Array(length);
      return memory;
    });
}

async function* stream(
  input: CompressedInput,
  output: Output,
  allocate: (length: number) => Int32Array,
): AsyncGenerator<Uint8Array> {
  await input.need(4);
  await input.reserve(arrayMemory, MEMORY);
  const bits = new Bits(input);
  const level = bzip2.header(bits.read);
  bits.forget();
  // Buffer to decode a block in.
  const memory = allocate(BLOCK_SIZE * level);
  for (let crc: number | null = 0; ; ) {
    // Wait for a whole block, because the decoder can't wait in the middle of one.
    await input.has(OVERHEAD + BLOCK_SIZE * level);
    crc = bzip2.decompress(bits.read, output.write, memory, memory.length, crc);
    bits.forget();
    if (crc === null) return;
    yield* output.take();
  }
}

/** Reads bits from the available input, from the top of each byte down. */
class Bits {
  readonly #input: CompressedInput;
  /** Position in bits. */
  #at = 0;

  constructor(input: CompressedInput) {
    this.#input = input;
  }

  /** Reads the next `count` bits, up to 32, as a number. `null` skips to the end of the byte. */
  readonly read = (count: number | null): number => {
    const { bytes } = this.#input;
    if (count === null) {
      this.#at = Math.ceil(this.#at / 8) * 8;
      return 0;
    }
    let value = 0;
    let left = count;
    while (left > 0) {
      const byte = bytes[this.#at >> 3];
      if (byte === undefined) throw new Error("it is cut short");
      const here = 8 - (this.#at & 7);
      const taken = Math.min(left, here);
      value = (value << taken) | ((byte >> (here - taken)) & ((1 << taken) - 1));
      this.#at += taken;
      left -= taken;
    }
    return value;
  };

  /** Discards the bytes already read. */
  forget(): void {
    this.#input.take(this.#at >> 3);
    this.#at &= 7;
  }
}

/**
 * Collects output and grows with it. A block decodes to at most some 46 MB, with a run in every
 * five bytes.
 */
class Output {
  #bytes = new Uint8Array(BLOCK_SIZE * 10);
  #length = 0;

  readonly write = (byte: number): void => {
    if (this.#length === this.#bytes.length) {
      const longer = new Uint8Array(Math.min(this.#bytes.length * 2, (9 * BLOCK_SIZE * MAX_RUN) / 5 + MAX_RUN));
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    this.#bytes[this.#length++] = byte;
  };

  /** Yields the output in pieces, so that a reader need not process all of it in one turn. */
  *take(): Generator<Uint8Array> {
    const length = this.#length;
    this.#length = 0;
    for (let at = 0; at < length; at += PIECE) yield this.#bytes.slice(at, Math.min(at + PIECE, length));
  }
}
