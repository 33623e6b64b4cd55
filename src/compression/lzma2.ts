import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { parseLzmaProperties } from "./lzma.ts";
import { LzmaDecoder, type LzmaProperties } from "./lzma-decoder.ts";

/** Control bytes of chunks that are stored as they are: with the dictionary reset, and without. */
const STORED_RESET = 0x01;
const STORED = 0x02;
/**
 * Lowest control bytes of LZMA chunks. In this order, the chunk: needs no reset; resets the state;
 * also has properties; also resets the dictionary.
 */
const LZMA = 0x80;
const STATE_RESET = 0xa0;
const PROPERTIES = 0xc0;
const DICTIONARY_RESET = 0xe0;

/** A chunk of LZMA2: at most 64 KiB, which become at most 2 MiB. */
export interface Lzma2Chunk {
  readonly data: Uint8Array;
  /** Length of the content in bytes. */
  readonly size: number;
  readonly isStored: boolean;
  readonly resetsDictionary: boolean;
  readonly resetsState: boolean;
  /** The LZMA properties from this chunk on, if it changes them. */
  readonly properties: LzmaProperties | undefined;
}

/** Reads the chunks of one LZMA2 stream, whose headers it checks. */
export class Lzma2Chunks {
  #needsReset = true;
  #needsProperties = true;

  /**
   * @returns the next chunk, valid until the input is read again; `undefined` at the stream's end
   * @throws Error if a header is damaged, or the input ends
   */
  async next(input: CompressedInput): Promise<Lzma2Chunk | undefined> {
    await input.need(1);
    const control = input.bytes[0] as number;
    if (control === 0) {
      input.take(1);
      return undefined;
    }
    const isStored = control < LZMA;
    if (isStored && control !== STORED_RESET && control !== STORED) throw new Error("it is damaged");
    const resetsDictionary = control === STORED_RESET || control >= DICTIONARY_RESET;
    const hasProperties = control >= PROPERTIES;
    if (this.#needsReset && !resetsDictionary) throw new Error("it is damaged");
    this.#needsReset = false;
    if (resetsDictionary) this.#needsProperties = true;
    if (hasProperties) this.#needsProperties = false;
    if (!isStored && this.#needsProperties) throw new Error("it is damaged");

    const headerLength = isStored ? 3 : hasProperties ? 6 : 5;
    await input.need(headerLength);
    const header = viewOf(input.bytes);
    const low = header.getUint16(1, false);
    const size = (isStored ? low : ((control & 0x1f) << 16) + low) + 1;
    const properties = hasProperties ? parseProperties(header.getUint8(5)) : undefined;
    const length = isStored ? size : header.getUint16(3, false) + 1;
    await input.need(headerLength + length);
    const data = input.take(headerLength + length).subarray(headerLength);
    return { data, size, isStored, resetsDictionary, resetsState: !isStored && control >= STATE_RESET, properties };
  }
}

function parseProperties(byte: number): LzmaProperties {
  const properties = parseLzmaProperties(byte);
  if (!properties) throw new Error("it has properties that no LZMA2 stream has");
  return properties;
}

/**
 * Decodes a chunk. The chunks of a stream follow each other.
 *
 * @param decoder opened before the stream's first chunk
 * @throws Error if the chunk is damaged
 */
export function* decodeLzma2(decoder: LzmaDecoder, chunk: Lzma2Chunk): Generator<Uint8Array> {
  if (chunk.resetsDictionary) decoder.forgetDictionary();
  if (chunk.isStored) {
    decoder.store(chunk.data);
    yield* decoder.takeOutput();
    return;
  }
  if (chunk.resetsState) decoder.resetState(chunk.properties);
  decoder.begin(chunk.data.subarray(0, LzmaDecoder.START), chunk.size, false);
  let at = LzmaDecoder.START;
  while (!decoder.isEnded) {
    at += decoder.run(chunk.data.subarray(at), true);
    yield* decoder.takeOutput();
  }
  if (at !== chunk.data.length) throw new Error("it is damaged");
}
