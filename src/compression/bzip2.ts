import { utf8 } from "../bytes.ts";
import { BitReader } from "./bit-reader.ts";
import { Bzip2Block } from "./bzip2-block.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";

/** Size of a block before the last step of compression, in bytes for each level. */
const BLOCK_SIZE = 100_000;
/** Maximum growth of a block by compression, including its tables, in bytes. */
const OVERHEAD = 25_000;
/** Maximum size of an output piece, in bytes. */
const PIECE = 256 * 1024;
/** Maximum memory of a decoder, in bytes: a block's compressed bytes, and a word for each byte. */
const MEMORY = 8 * 1024 * 1024;

/** Marks before a block and before the end of a stream, in three numbers of 16 bits. */
const BLOCK = [0x3141, 0x5926, 0x5359];
const END = [0x1772, 0x4538, 0x5090];

const MAGIC = utf8("BZh");
const LEVEL_0 = 0x30;

interface Memory {
  readonly level: number;
  readonly block: Bzip2Block;
  readonly output: Uint8Array;
}

/**
 * Makes a decoder that reads one stream of bzip2 per call. It checks all checksums. The streams
 * share its memory, because an input may have many empty streams.
 */
export function bzip2Decoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  let memory: Memory | undefined;
  return async function* (input) {
    await input.need(MAGIC.length + 1);
    const header = input.take(MAGIC.length + 1);
    const level = (header[MAGIC.length] as number) - LEVEL_0;
    if (MAGIC.some((byte, i) => byte !== header[i]) || level < 1 || level > 9) throw new Error("this is not a bzip2 stream");
    await input.reserve(arrayMemory, MEMORY);
    if (memory?.level !== level)
      memory = { level, block: new Bzip2Block(BLOCK_SIZE * level), output: memory?.output ?? new Uint8Array(PIECE) };
    yield* stream(input, memory);
  };
}

async function* stream(input: CompressedInput, { level, block, output }: Memory): AsyncGenerator<Uint8Array> {
  const bits = new BitReader();
  let crc = 0;
  /** Number of bits of the input's next byte that belong to the previous block. */
  let offset = 0;
  while (true) {
    // Wait for a whole block, because the decoder can't wait in the middle of one.
    await input.has(OVERHEAD + BLOCK_SIZE * level);
    bits.supply(input.bytes, offset);
    const mark = [bits.read(16), bits.read(16), bits.read(16)];
    if (mark.every((part, i) => part === END[i])) break;
    if (mark.some((part, i) => part !== BLOCK[i])) throw new Error("it is damaged");
    block.begin(bits);
    input.take(bits.position >> 3);
    offset = bits.position & 7;
    for (let length = block.read(output); length > 0; length = block.read(output)) yield output.slice(0, length);
    crc = block.end() ^ ((crc << 1) | (crc >>> 31));
  }
  if (((bits.read(16) << 16) | bits.read(16)) !== crc) throw new Error("the checksum of a stream is wrong");
  input.take(Math.ceil(bits.position / 8));
}
