import { createXXHash64 } from "hash-wasm";
import { viewOf } from "../bytes.ts";
import { Checksum, type RunningChecksum } from "./checksum.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";
import { isSkippable, skipFrame } from "./skippable-frame.ts";
import { SlidingWindow } from "./sliding-window.ts";
import { ZstdBlocks } from "./zstd-blocks.ts";
import {
  BLOCK_HEADER,
  type BlockHeader,
  FRAME_MAGIC,
  FRAME_START,
  type FrameHeader,
  frameHeaderLength,
  MAX_BLOCK_SIZE,
  parseBlockHeader,
  parseFrameHeader,
} from "./zstd-frame.ts";

/** Largest window of a frame, in bytes. zstd itself has the same default limit. */
const MAX_WINDOW = 128 * 1024 * 1024;
const XXHASH64 = Checksum.loaded("zstd", createXXHash64);

/**
 * Makes a decoder that reads one frame (RFC 8878) per call. The frames of an input share the
 * decoder's memory. It parses a frame itself, decodes one block at a time, whose content is at most
 * 128 KiB, and checks the checksum.
 */
export function zstdDecoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  const blocks = new ZstdBlocks();
  let largestWindow = 0;
  return async function* (input) {
    await input.need(4);
    const magic = viewOf(input.bytes).getUint32(0, true);
    if (isSkippable(magic)) await skipFrame(input);
    else if (magic === FRAME_MAGIC) {
      const header = await readHeader(input);
      const checksum = header.hasChecksum ? await XXHASH64.get() : undefined;
      if (header.windowSize > largestWindow) {
        blocks.forget();
        largestWindow = header.windowSize;
        await input.reserve(arrayMemory, SlidingWindow.capacity(largestWindow, MAX_BLOCK_SIZE));
      }
      yield* frame(input, header, blocks, checksum?.begin());
    } else throw new Error("this is not a zstd frame");
  };
}

async function* frame(
  input: CompressedInput,
  { windowSize, contentSize }: FrameHeader,
  blocks: ZstdBlocks,
  checksum: RunningChecksum | undefined,
): AsyncGenerator<Uint8Array> {
  blocks.begin(windowSize);
  let size = 0n;
  for (let last = false; !last; ) {
    const block = await readBlock(input);
    last = block.header.isLast;
    const content = blocks.decode(block.header, block.body);
    size += BigInt(content.length);
    checksum?.update(content);
    if (content.length > 0) yield content;
    if (contentSize !== undefined && size > contentSize) throw new Error("a frame has more content than its header states");
  }
  if (contentSize !== undefined && size !== contentSize) throw new Error("a frame has less content than its header states");
  if (!checksum) return;
  await input.need(4);
  // The checksum is the lower half of the hash.
  const expected = viewOf(input.take(4)).getUint32(0, true);
  if (viewOf(checksum.digest()).getUint32(4, false) !== expected) throw new Error("the checksum of a frame is wrong");
}

async function readHeader(input: CompressedInput): Promise<FrameHeader> {
  await input.need(FRAME_START);
  const length = frameHeaderLength(input.bytes);
  await input.need(length);
  const header = parseFrameHeader(input.take(length));
  if (header.windowSize > MAX_WINDOW)
    throw new Error(`a frame needs ${header.windowSize} bytes of memory; the limit is ${MAX_WINDOW}`);
  return header;
}

async function readBlock(input: CompressedInput): Promise<{ header: BlockHeader; body: Uint8Array }> {
  await input.need(BLOCK_HEADER);
  const header = parseBlockHeader(input.bytes);
  await input.need(BLOCK_HEADER + header.length);
  input.take(BLOCK_HEADER);
  return { header, body: input.take(header.length) };
}
