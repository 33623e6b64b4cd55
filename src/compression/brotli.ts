import { MemoryBudget } from "../memory-budget.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { LoadedDecoder } from "./loaded-decoder.ts";

/** The used part of the library `brotli-dec-wasm`. */
export interface BrotliLibrary {
  readonly BrotliDecStream: new () => BrotliStream;
}

interface BrotliStream {
  /**
   * Decodes until the input is used up, the output is full, or the stream ends.
   *
   * @throws Error if the stream is damaged
   */
  dec(input: Uint8Array, outputSize: number): BrotliResult;
  free(): void;
}

interface BrotliResult {
  readonly buf: Uint8Array;
  readonly code: number;
  /** Number of input bytes used. */
  readonly input_offset: number;
  free(): void;
}

/** `BrotliStreamResultCode.ResultSuccess`: the stream has ended. */
const ENDED = 1;
/** Maximum size of the input and of the output of one decoder call, in bytes. */
const INPUT_PIECE = 64 * 1024;
const OUTPUT_PIECE = 256 * 1024;

/** Largest window, in bytes. */
const MAX_WINDOW = 16 * 1024 * 1024;
/** Limits all streams together, because they share one WebAssembly memory, which never shrinks. */
const memory = new MemoryBudget(8 * MAX_WINDOW);

let library = new LoadedDecoder<BrotliLibrary>("brotli", () => Promise.reject(new Error("none was provided")));

/**
 * Sets how to load the decoder of brotli, which differs between a page and Node. The decoder is
 * large and rarely used, so it is loaded when the first brotli stream is read.
 */
export function provideBrotli(loadLibrary: () => Promise<BrotliLibrary>): void {
  library = new LoadedDecoder("brotli", loadLibrary);
}

/**
 * Decodes the stream (RFC 7932) that begins at the input's next byte. Brotli has no checksum.
 *
 * @throws StoreError `unavailable` if the decoder can't be loaded, or if too many uploads wait
 */
export async function* unbrotli(input: CompressedInput): AsyncGenerator<Uint8Array> {
  const { BrotliDecStream } = await library.get();
  await input.reserve(memory, MAX_WINDOW);
  const stream = new BrotliDecStream();
  try {
    yield* decode(input, stream);
  } finally {
    stream.free();
  }
}

async function* decode(input: CompressedInput, stream: BrotliStream): AsyncGenerator<Uint8Array> {
  for (let isEnded = false; !isEnded; ) {
    // The input may be empty here, because output may be left after all input is used.
    const isLast = !(await input.has(1));
    const result = stream.dec(input.bytes.subarray(0, INPUT_PIECE), OUTPUT_PIECE);
    const { buf, code, input_offset } = result;
    result.free();
    input.take(input_offset);
    if (buf.length > 0) yield buf;
    isEnded = code === ENDED;
    if (isLast && !isEnded && buf.length === 0) throw new Error("it is cut short");
  }
}
