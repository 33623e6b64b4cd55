import { crc32 } from "node:zlib";
import { concatBytes } from "../../bytes.ts";

/**
 * Writes the .xz format (specification 1.2.1) without compression: one stream of one block, whose
 * LZMA2 chunks are uncompressed.
 */

const MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
const END_MAGIC = Uint8Array.of(0x59, 0x5a);
/** Flags for a CRC-32 after each block. */
const STREAM_FLAGS = Uint8Array.of(0x00, 0x01);
/**
 * Block header without its CRC-32: one filter, LZMA2, with a dictionary of 64 KiB; padded. With the
 * CRC-32 it has 12 bytes.
 */
const BLOCK_HEADER = Uint8Array.of(0x02, 0x00, 0x21, 0x01, 0x08, 0x00, 0x00, 0x00);

/**
 * Control bytes of uncompressed chunks. The first chunk must reset the dictionary; the others
 * don't.
 */
const FIRST_CHUNK = 0x01;
const NEXT_CHUNK = 0x02;
const MAX_CHUNK = 0x10000;

export async function* xzStored(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield concatBytes([MAGIC, STREAM_FLAGS, crcOf(STREAM_FLAGS), BLOCK_HEADER, crcOf(BLOCK_HEADER)]);
  let size = 0;
  let stored = 0;
  let crc = 0;
  for await (const piece of bytes) {
    crc = crc32(piece, crc);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < piece.length; at += MAX_CHUNK) {
      const chunk = piece.subarray(at, at + MAX_CHUNK);
      const last = chunk.length - 1;
      parts.push(Uint8Array.of(size + at === 0 ? FIRST_CHUNK : NEXT_CHUNK, last >> 8, last & 0xff), chunk);
      stored += 3 + chunk.length;
    }
    size += piece.length;
    if (parts.length > 0) yield concatBytes(parts);
  }
  // End marker of LZMA2, padding of the block, check of the block.
  stored++;
  yield concatBytes([new Uint8Array(1 + padding(stored)), little(crc)]);
  const unpadded = BLOCK_HEADER.length + 4 + stored + 4;
  const entries = concatBytes([Uint8Array.of(0, 1), variable(unpadded), variable(size)]);
  const index = concatBytes([entries, new Uint8Array(padding(entries.length))]);
  const footer = concatBytes([little((index.length + 4) / 4 - 1), STREAM_FLAGS]);
  yield concatBytes([index, crcOf(index), crcOf(footer), footer, END_MAGIC]);
}

function crcOf(bytes: Uint8Array): Uint8Array {
  return little(crc32(bytes));
}

function little(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function padding(length: number): number {
  return -length & 3;
}

/** Encodes an integer with seven bits in each byte, the low bits first. */
function variable(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
