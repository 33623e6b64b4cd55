import { createCRC32 } from "hash-wasm";
import { equalBytes, utf8, viewOf } from "../bytes.ts";
import { Checksum } from "./checksum.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { decodeLzma } from "./lzma.ts";
import { LzmaMemory } from "./lzma-memory.ts";

/** The text "LZIP" and the version. */
const MAGIC = utf8("LZIP\x01");
/** The properties of each member's LZMA stream. */
const PROPERTIES = { lc: 3, lp: 0, pb: 2 };
/**
 * Length of the trailer in bytes: the CRC-32 of the content, its size, and the size of the member.
 */
const TRAILER_LENGTH = 20;
const CRC32 = Checksum.loaded("lzip", createCRC32);

/**
 * Makes a decoder that reads one member of the lzip format, version 1, per call (the lzip manual,
 * "File format"). It checks CRC-32 and sizes. The members share the decoder's memory.
 */
export function lzipDecoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  const memory = new LzmaMemory();
  return async function* (input) {
    yield* member(input, await CRC32.get(), memory);
  };
}

async function* member(input: CompressedInput, checksum: Checksum, memory: LzmaMemory): AsyncGenerator<Uint8Array> {
  const start = input.taken;
  await input.need(MAGIC.length + 1);
  const header = input.take(MAGIC.length + 1);
  if (!equalBytes(header.subarray(0, MAGIC.length), MAGIC)) throw new Error("this is not an lzip member");
  const dictionarySize = dictionarySizeOf(header[MAGIC.length] as number);
  const crc = checksum.begin();
  let size = 0n;
  for await (const piece of decodeLzma(input, memory, { properties: PROPERTIES, dictionarySize })) {
    crc.update(piece);
    size += BigInt(piece.length);
    yield piece;
  }
  await input.need(TRAILER_LENGTH);
  const trailer = viewOf(input.take(TRAILER_LENGTH));
  if (trailer.getUint32(0, true) !== viewOf(crc.digest()).getUint32(0, false)) throw new Error("the checksum of a member is wrong");
  if (trailer.getBigUint64(4, true) !== size || trailer.getBigUint64(12, true) !== BigInt(input.taken - start))
    throw new Error("the size of a member differs from the one in its trailer");
}

/**
 * Decodes a dictionary size. The lower five bits are the exponent of a power of two, in bytes. The
 * upper three bits are the number of sixteenths to subtract.
 */
function dictionarySizeOf(coded: number): number {
  const exponent = coded & 0x1f;
  if (exponent < 12 || exponent > 29) throw new Error("a member has an invalid dictionary size");
  const base = 2 ** exponent;
  return base - (base / 16) * (coded >> 5);
}
