import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { LzmaDecoder, type LzmaProperties } from "./lzma-decoder.ts";
import { LzmaMemory, MAX_DICTIONARY } from "./lzma-memory.ts";

/** Bytes of input that the decoder waits for, unless the input ends. */
const SOME = 4096;

/** Length of a `.lzma` header in bytes: properties, dictionary size, content size. */
const HEADER_LENGTH = 13;
const UNKNOWN_SIZE = 2n ** 64n - 1n;

/** Decodes a `.lzma` file (LZMA_Alone): one stream, without a checksum. */
export async function* unlzma(input: CompressedInput): AsyncGenerator<Uint8Array> {
  await input.need(HEADER_LENGTH);
  const header = input.take(HEADER_LENGTH);
  const view = viewOf(header);
  const properties = parseLzmaProperties(view.getUint8(0));
  const dictionarySize = view.getUint32(1, true);
  // Zeros alone are no file.
  if (!properties || dictionarySize === 0) throw new Error("it has properties that no lzma stream has");
  const size = view.getBigUint64(5, true);
  if (size !== UNKNOWN_SIZE && size > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error("it has a size that is too large");
  const stream = { properties, dictionarySize, size: size === UNKNOWN_SIZE ? undefined : Number(size) };
  yield* decodeLzma(input, new LzmaMemory(), stream);
}

/** The numbers in a byte of properties, within liblzma's limits, which Nix reads with. */
export function parseLzmaProperties(byte: number): LzmaProperties | undefined {
  const lc = byte % 9;
  const lp = Math.trunc(byte / 9) % 5;
  const pb = Math.trunc(byte / 45);
  return pb > 4 || lc + lp > 4 ? undefined : { lc, lp, pb };
}

/**
 * Whether these bytes, in all likelihood, begin a `.lzma` file, which has no magic: properties,
 * a dictionary of 2^n or 3 * 2^n bytes, and a size that is unknown or
 * believable.
 */
export function isLzmaHeader(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_LENGTH || !parseLzmaProperties(bytes[0] as number)) return false;
  const view = viewOf(bytes);
  const dictionarySize = view.getUint32(1, true);
  const size = view.getBigUint64(5, true);
  const isRound = [dictionarySize, dictionarySize / 3].some((part) => part >= 2048 && Number.isInteger(Math.log2(part)));
  return isRound && (size === UNKNOWN_SIZE || size < 2n ** 40n);
}

export interface LzmaStream {
  readonly properties: LzmaProperties;
  /** Maximum distance of a match, in bytes. */
  readonly dictionarySize: number;
  /** Size of the content in bytes, if known. */
  readonly size?: number | undefined;
}

/** Decodes the LZMA stream that begins at the input's next byte. */
export async function* decodeLzma(
  input: CompressedInput,
  memory: LzmaMemory,
  { properties, dictionarySize, size }: LzmaStream,
): AsyncGenerator<Uint8Array> {
  if (dictionarySize > MAX_DICTIONARY)
    throw new Error(`it needs ${dictionarySize} bytes of memory; the limit is ${MAX_DICTIONARY}`);
  const decoder = await memory.open(input, dictionarySize);
  decoder.resetState(properties);
  await input.need(LzmaDecoder.START);
  decoder.begin(input.take(LzmaDecoder.START), size, true);
  while (!decoder.isEnded) {
    const isLast = !(await input.has(SOME));
    input.take(decoder.run(input.bytes, isLast));
    yield* decoder.takeOutput();
  }
}
