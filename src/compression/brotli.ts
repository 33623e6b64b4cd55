import type { CompressedInput } from "./compressed-input.ts";
import { DecoderMemory } from "./decoder-memory.ts";
import { LoadedDecoder } from "./loaded-decoder.ts";

/** The library `brotli-dec-wasm`, as far as it is used. */
export interface BrotliLibrary {
  readonly BrotliDecStream: new () => BrotliStream;
}

interface BrotliStream {
  /** Decodes until the input is used up, the output is full, or the stream ends. @throws Error */
  dec(input: Uint8Array, outputSize: number): BrotliResult;
  free(): void;
}

interface BrotliResult {
  readonly buf: Uint8Array;
  readonly code: number;
  /** Bytes of the input that were used. */
  readonly input_offset: number;
  free(): void;
}

/** `BrotliStreamResultCode.ResultSuccess`: the stream has ended. */
const ENDED = 1;
/** Bytes that go into the decoder in one call, and that come out of it. */
const INPUT_PIECE = 64 * 1024;
const OUTPUT_PIECE = 256 * 1024;

/** Largest window, in bytes. */
const MAX_WINDOW = 16 * 1024 * 1024;
/** All streams are decoded in one WebAssembly memory, which never shrinks. */
const memory = new DecoderMemory(8 * MAX_WINDOW);

let library = new LoadedDecoder<BrotliLibrary>("brotli", () => Promise.reject(new Error("none was provided")));

/**
 * Sets how the decoder of brotli is loaded, which differs between a page and Node. It is large and
 * rarely used, so it is loaded when the first brotli stream is read.
 */
export function provideBrotli(loadLibrary: () => Promise<BrotliLibrary>): void {
  library = new LoadedDecoder("brotli", loadLibrary);
}

/**
 * Decodes the stream of RFC 7932 that begins at the input's next byte. Brotli has no checksum.
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
    // Output may be left when all input is used, so what is here may be nothing.
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
