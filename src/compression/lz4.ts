import { createXXHash32 } from "hash-wasm";
import { viewOf } from "../bytes.ts";
import { Checksum } from "./checksum.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";
import { decodeLz4Block, LZ4_WINDOW } from "./lz4-block.ts";
import { LEGACY_BLOCK, LEGACY_MAGIC, legacyBlocks } from "./lz4-legacy.ts";
import { isSkippable, skipFrame } from "./skippable-frame.ts";

const FRAME_MAGIC = 0x184d2204;
/** Maximum size of a block in bytes, by the code in the frame's header. */
const BLOCK_SIZES: Readonly<Record<number, number>> = { 4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: 4 * 1024 * 1024 };
/** Maximum size of an output piece, in bytes. */
const PIECE = 256 * 1024;
const XXHASH32 = Checksum.loaded("lz4", createXXHash32);

interface FrameHeader {
  readonly blockSize: number;
  readonly hasIndependentBlocks: boolean;
  readonly hasBlockChecksums: boolean;
  readonly hasContentChecksum: boolean;
  readonly contentSize: bigint | undefined;
}

/** Buffer shared by the frames of an input, which may have millions of frames. */
class Lz4Memory {
  #output = new Uint8Array(0);

  /** Frees the buffer if it is too small for a block. */
  forgetBelow(blockSize: number): void {
    if (this.#output.length < LZ4_WINDOW + blockSize) this.#output = new Uint8Array(0);
  }

  /** Returns a buffer for the window and one block. */
  output(blockSize: number): Uint8Array {
    if (this.#output.length < LZ4_WINDOW + blockSize) this.#output = new Uint8Array(LZ4_WINDOW + blockSize);
    return this.#output;
  }
}

/**
 * Makes a decoder that reads one frame of the LZ4 frame format, version 1.6, per call. It checks
 * the frames' checksums. The libraries for pages (lz4js, lz4-wasm) decode only whole inputs.
 */
export function lz4Decoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  const memory = new Lz4Memory();
  return async function* (input) {
    await input.need(4);
    const magic = viewOf(input.bytes).getUint32(0, true);
    if (isSkippable(magic)) await skipFrame(input);
    else if (magic === FRAME_MAGIC) {
      input.take(4);
      const checksum = await XXHASH32.get();
      const header = await readHeader(input, checksum);
      memory.forgetBelow(header.blockSize);
      // Memory for a block, its content, and the window.
      await input.reserve(arrayMemory, 2 * header.blockSize + LZ4_WINDOW);
      yield* blocks(input, header, memory, checksum);
    } else if (magic === LEGACY_MAGIC) {
      input.take(4);
      memory.forgetBelow(LEGACY_BLOCK);
      await input.reserve(arrayMemory, 2 * LEGACY_BLOCK + LZ4_WINDOW);
      for await (const content of legacyBlocks(input, memory.output(LEGACY_BLOCK))) yield* copies(content);
    } else throw new Error("this is not an lz4 frame");
  };
}

async function readHeader(input: CompressedInput, checksum: Checksum): Promise<FrameHeader> {
  await input.need(2);
  const [flags = 0, sizes = 0] = input.bytes;
  if (flags >> 6 !== 1 || (flags & 0x02) !== 0 || (sizes & 0x8f) !== 0) throw new Error("a frame has an unknown version");
  if (flags & 0x01) throw new Error("a frame needs a dictionary");
  const blockSize = BLOCK_SIZES[sizes >> 4];
  if (blockSize === undefined) throw new Error("a frame has an unknown block size");
  const hasContentSize = (flags & 0x08) !== 0;
  const length = hasContentSize ? 10 : 2;
  await input.need(length + 1);
  const descriptor = input.take(length);
  const [expected] = input.take(1);
  if (((numberOf(checksum.of(descriptor)) >> 8) & 0xff) !== expected) throw new Error("a frame's header is damaged");
  return {
    blockSize,
    hasIndependentBlocks: (flags & 0x20) !== 0,
    hasBlockChecksums: (flags & 0x10) !== 0,
    hasContentChecksum: (flags & 0x04) !== 0,
    contentSize: hasContentSize ? viewOf(descriptor).getBigUint64(2, true) : undefined,
  };
}

async function* blocks(
  input: CompressedInput,
  header: FrameHeader,
  memory: Lz4Memory,
  checksum: Checksum,
): AsyncGenerator<Uint8Array> {
  const content = header.hasContentChecksum ? checksum.begin() : undefined;
  let start = 0;
  let size = 0n;
  while (true) {
    await input.need(4);
    const word = viewOf(input.take(4)).getUint32(0, true);
    if (word === 0) break;
    const isStored = word >>> 31 === 1;
    const length = word & 0x7fffffff;
    if (length > header.blockSize) throw new Error("a block is too large");
    await input.need(length + (header.hasBlockChecksums ? 4 : 0));
    const block = input.take(length);
    if (header.hasBlockChecksums && numberOf(checksum.of(block)) !== viewOf(input.take(4)).getUint32(0, true))
      throw new Error("a block is damaged");
    /** The window, followed by the block that is being decoded. */
    const output = memory.output(header.blockSize);
    const end = isStored
      ? store(block, output, start)
      : decodeLz4Block(block, output, start, start + header.blockSize, header.hasIndependentBlocks ? start : 0);
    size += BigInt(end - start);
    content?.update(output.subarray(start, end));
    yield* copies(output.subarray(start, end));
    start = header.hasIndependentBlocks ? 0 : keepWindow(output, end);
  }
  if (header.contentSize !== undefined && size !== header.contentSize)
    throw new Error("the size of a frame differs from the one in its header");
  if (!content) return;
  await input.need(4);
  if (numberOf(content.digest()) !== viewOf(input.take(4)).getUint32(0, true)) throw new Error("the checksum of a frame is wrong");
}

function* copies(content: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < content.length; at += PIECE) yield content.slice(at, at + PIECE);
}

/** @returns where the block ends in `output` */
function store(block: Uint8Array, output: Uint8Array, at: number): number {
  output.set(block, at);
  return at + block.length;
}

/**
 * Moves the window, the last bytes before `end`, to the beginning.
 *
 * @returns the window's length
 */
function keepWindow(output: Uint8Array, end: number): number {
  const kept = Math.min(end, LZ4_WINDOW);
  output.copyWithin(0, end - kept, end);
  return kept;
}

function numberOf(digest: Uint8Array): number {
  return viewOf(digest).getUint32(0, false);
}
