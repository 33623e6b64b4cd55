import * as library from "xz-decompress";
import type { CompressedInput } from "./compressed-input.ts";
import { DecoderMemory } from "./decoder-memory.ts";
import { LoadedDecoder } from "./loaded-decoder.ts";

// The library is CommonJS. Some loaders see its names, others only the whole module.
const { XzReadableStream } = "XzReadableStream" in library ? library : (library as { default: typeof library }).default;

/** Largest dictionary, in bytes. The library learns the real size only while it decodes. */
const MAX_DICTIONARY = 64 * 1024 * 1024;
/** Limits all streams together, because they share one WebAssembly memory, which never shrinks. */
const memory = new DecoderMemory(8 * MAX_DICTIONARY);

/** Results of the library's decoder (`xz_ret` of XZ Embedded). */
const OK = 0;
const STREAM_END = 1;
const OPTIONS_ERROR = 6;

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

/**
 * Decodes one stream of the .xz format. The library's decoder would continue with the next stream,
 * and it accepts padding only in multiples of four bytes. So this function gives it no byte after
 * the end of a stream.
 *
 * @throws StoreError `unavailable` if the decoder can't be loaded, or if too many uploads wait
 */
export async function* unxz(input: CompressedInput): AsyncGenerator<Uint8Array> {
  await input.reserve(memory, MAX_DICTIONARY);
  const context = new XzContext(await decoder.get());
  try {
    yield* stream(input, context);
  } finally {
    context.destroy();
  }
}

async function* stream(input: CompressedInput, context: XzContext): AsyncGenerator<Uint8Array> {
  const ends = new EndFinder();
  while (true) {
    await input.need(1);
    const [length, mayBeEnd] = ends.find(input.bytes.subarray(0, context.bufferSize));
    context.supply(input.take(length));
    do {
      const output = context.run();
      if (output.length > 0) yield output;
      await input.turn();
    } while (context.hasMore);
    if (mayBeEnd && context.isComplete()) return;
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
    if (this.#status === OPTIONS_ERROR) throw new Error("it uses a check or a filter that is not supported");
    if (this.#status !== OK && this.#status !== STREAM_END) throw new Error(`it is damaged (${this.#status})`);
    return output;
  }

  /** Whether the decoder has unused input or pending output. */
  get hasMore(): boolean {
    return this.#isFull || this.#word(INPUT_TAKEN) < this.#word(INPUT_SIZE);
  }

  /** Whether the input so far is a whole stream. If it isn't, decoding can continue. */
  isComplete(): boolean {
    // The decoder takes an empty input as the end of the input.
    this.#decoder.supply_input(this.#context, 0);
    return this.#decoder.get_next_output(this.#context) === STREAM_END;
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

/**
 * Finds possible ends of a stream. A footer ends with two bytes of flags (0 and at most 15) and
 * "YZ".
 */
class EndFinder {
  /** The last four bytes. */
  #last = 0;

  /** @returns the length up to the next possible end, or of all bytes if there is none */
  find(bytes: Uint8Array): [length: number, mayBeEnd: boolean] {
    let last = this.#last;
    for (let i = 0; i < bytes.length; i++) {
      last = (last << 8) | (bytes[i] as number);
      if ((last & 0xfff0ffff) !== 0x0000595a) continue;
      this.#last = last;
      return [i + 1, true];
    }
    this.#last = last;
    return [bytes.length, false];
  }
}
