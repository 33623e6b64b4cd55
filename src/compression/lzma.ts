import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";
import { LzmaDecoder, type LzmaProperties } from "./lzma-decoder.ts";
import { LzmaRangeDecoder } from "./lzma-range-decoder.ts";

/**
 * Maximum size of a dictionary, in bytes: as large as a zstd frame's window. `lzip -9` and `xz -9`
 * use less.
 */
const MAX_DICTIONARY = 128 * 1024 * 1024;
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
  yield* decodeLzma(input, { ...properties, dictionarySize }, size === UNKNOWN_SIZE ? undefined : Number(size));
}

/** The numbers in a byte of properties, within liblzma's limits, which Nix reads with. */
export function parseLzmaProperties(byte: number): Pick<LzmaProperties, "lc" | "lp" | "pb"> | undefined {
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

/**
 * Decodes the LZMA stream that begins at the input's next byte.
 *
 * @param size of its content in bytes, if known
 */
export async function* decodeLzma(input: CompressedInput, properties: LzmaProperties, size?: number): AsyncGenerator<Uint8Array> {
  const { dictionarySize } = properties;
  if (dictionarySize > MAX_DICTIONARY)
    throw new Error(`it needs ${dictionarySize} bytes of memory; the limit is ${MAX_DICTIONARY}`);
  await input.reserve(arrayMemory, dictionarySize);
  await input.need(LzmaRangeDecoder.START);
  const decoder = new LzmaDecoder(properties, size);
  decoder.begin(input.take(LzmaRangeDecoder.START));
  while (!decoder.isEnded) {
    const isLast = !(await input.has(SOME));
    input.take(decoder.run(input.bytes, isLast));
    yield* decoder.takeOutput();
  }
}
