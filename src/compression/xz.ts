import * as library from "xz-decompress";
import { viewOf } from "../bytes.ts";
import { DecoderMemory } from "./decoder-memory.ts";
import { LoadedDecoder } from "./loaded-decoder.ts";
import type { Lzma2Chunk } from "./lzma2.ts";

// The library is CommonJS. Some loaders see its names, others only the whole module.
const { XzReadableStream } = "XzReadableStream" in library ? library : (library as { default: typeof library }).default;

/** The largest dictionary that the library can decode with, in bytes. */
export const EMBEDDED_DICTIONARY = 64 * 1024 * 1024;
/** Limits all streams together, because they share one WebAssembly memory, which never shrinks. */
export const embeddedMemory = new DecoderMemory(8 * EMBEDDED_DICTIONARY);

/** Results of the library's decoder (`xz_ret` of XZ Embedded). */
const OK = 0;
const STREAM_END = 1;

/** Indexes of 32-bit words in the decoder's context. */
const BUFFER_SIZE = 0;
const INPUT_AT = 1;
const INPUT_TAKEN = 2;
const INPUT_SIZE = 3;
const OUTPUT_AT = 4;
const OUTPUT_SIZE = 5;

interface Decoder {
  readonly memory: { readonly buffer: ArrayBuffer };
  create_context(): number;
  destroy_context(context: number): void;
  supply_input(context: number, size: number): void;
  get_next_output(context: number): number;
}

const decoder = new LoadedDecoder("xz", loadDecoder);

/** Header of a stream without checks. */
const STREAM_HEADER = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0, 0xff, 0x12, 0xd9, 0x41);
/** Header of a block of LZMA2, without the dictionary size at offset 4 and the CRC-32 at 8. */
const BLOCK_HEADER = Uint8Array.of(2, 0, 0x21, 1, 0, 0, 0, 0, 0, 0, 0, 0);

/**
 * Decodes LZMA2 with the library. The library supports no other filter, and joins streams by its
 * own rules. So this class feeds it a stream of its own making, with the LZMA2 data of the blocks.
 */
export class EmbeddedLzma2 {
  readonly #context: XzContext;
  readonly #crc32: (bytes: Uint8Array) => number;
  /** Length of the data of a block so far. */
  #length = 0;

  private constructor(context: XzContext, crc32: (bytes: Uint8Array) => number) {
    this.#context = context;
    this.#crc32 = crc32;
  }

  /**
   * Makes a decoder. It needs up to `EMBEDDED_DICTIONARY` of `embeddedMemory`.
   *
   * @throws StoreError `unavailable` if the library can't be loaded
   */
  static async create(crc32: (bytes: Uint8Array) => number): Promise<EmbeddedLzma2> {
    const embedded = new EmbeddedLzma2(new XzContext(await decoder.get()), crc32);
    embedded.#feed(STREAM_HEADER);
    return embedded;
  }

  /**
   * Begins a block.
   *
   * @param dictionary the byte of the block's header that encodes the dictionary size
   */
  begin(dictionary: number): void {
    const header = BLOCK_HEADER.slice();
    header[4] = dictionary;
    viewOf(header).setUint32(8, this.#crc32(header.subarray(0, 8)), true);
    this.#feed(header);
    this.#length = 0;
  }

  /** @throws Error if the chunk is damaged */
  *decode({ bytes, size }: Lzma2Chunk): Generator<Uint8Array> {
    let rest = size;
    for (const piece of this.#run(bytes)) {
      rest -= piece.length;
      yield piece;
    }
    this.#length += bytes.length;
    if (rest !== 0) throw new Error("it is damaged");
  }

  /** Ends the block. */
  end(): void {
    const zero = Uint8Array.of(0);
    do {
      this.#feed(zero);
      this.#length++;
    } while (this.#length % 4 !== 0);
  }

  destroy(): void {
    this.#context.destroy();
  }

  #feed(bytes: Uint8Array): void {
    for (const piece of this.#run(bytes)) if (piece.length > 0) throw new Error("it is damaged");
  }

  *#run(bytes: Uint8Array): Generator<Uint8Array> {
    const context = this.#context;
    for (let at = 0; at < bytes.length; at += context.bufferSize) {
      context.supply(bytes.subarray(at, at + context.bufferSize));
      do {
        const output = context.run();
        if (output.length > 0) yield output;
      } while (context.hasMore);
    }
  }
}

/**
 * Loads the library's WebAssembly instance. The library exports a ReadableStream, which doesn't
 * tell how many bytes it used; the instance does. The instance is a private part of the library, so
 * the library's version is pinned.
 */
async function loadDecoder(): Promise<Decoder> {
  const load: unknown = Reflect.get(XzReadableStream, "_getModuleInstance");
  if (typeof load !== "function") throw new TypeError("the xz decoder has changed");
  await Reflect.apply(load, XzReadableStream, []);
  const instance: unknown = Reflect.get(XzReadableStream, "_moduleInstance");
  if (!(instance instanceof WebAssembly.Instance) || !isDecoder(instance.exports))
    throw new TypeError("the xz decoder has changed");
  return instance.exports;
}

function isDecoder(exports: object): exports is Decoder {
  const functions = ["create_context", "destroy_context", "supply_input", "get_next_output"];
  return "memory" in exports && functions.every((name) => typeof Reflect.get(exports, name) === "function");
}

class XzContext {
  readonly #decoder: Decoder;
  readonly #context: number;
  readonly bufferSize: number;
  #status = OK;
  #isFull = false;

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
    this.#context = decoder.create_context();
    this.bufferSize = this.#word(BUFFER_SIZE);
  }

  /** @param bytes at most `bufferSize`. The decoder must have used up the previous bytes */
  supply(bytes: Uint8Array): void {
    new Uint8Array(this.#decoder.memory.buffer).set(bytes, this.#word(INPUT_AT));
    this.#decoder.supply_input(this.#context, bytes.length);
  }

  /**
   * Decodes some of the input.
   *
   * @returns a copy of the output
   */
  run(): Uint8Array {
    this.#status = this.#decoder.get_next_output(this.#context);
    const at = this.#word(OUTPUT_AT);
    const size = this.#word(OUTPUT_SIZE);
    const output = new Uint8Array(this.#decoder.memory.buffer).slice(at, at + size);
    this.#setWord(OUTPUT_SIZE, 0);
    this.#isFull = size === this.bufferSize;
    if (this.#status !== OK && this.#status !== STREAM_END) throw new Error(`it is damaged (${this.#status})`);
    return output;
  }

  /** Whether the decoder has unused input or pending output. */
  get hasMore(): boolean {
    return this.#isFull || this.#word(INPUT_TAKEN) < this.#word(INPUT_SIZE);
  }

  destroy(): void {
    this.#decoder.destroy_context(this.#context);
  }

  #word(index: number): number {
    return new Uint32Array(this.#decoder.memory.buffer, this.#context, OUTPUT_SIZE + 1)[index] as number;
  }

  #setWord(index: number, value: number): void {
    new Uint32Array(this.#decoder.memory.buffer, this.#context, OUTPUT_SIZE + 1)[index] = value;
  }
}
