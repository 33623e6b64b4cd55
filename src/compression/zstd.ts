import { createXXHash64, type IHasher } from "hash-wasm";
import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { arrayMemory } from "./decoder-memory.ts";
import { isSkippable, skipFrame } from "./skippable-frame.ts";
import { SlidingWindow } from "./sliding-window.ts";
import { MAX_BLOCK_SIZE, ZstdBlocks } from "./zstd-blocks.ts";

const FRAME_MAGIC = 0xfd2fb528;
/** Largest window of a frame, in bytes. zstd itself has the same default limit. */
const MAX_WINDOW = 128 * 1024 * 1024;

interface FrameHeader {
  readonly windowSize: number;
  readonly hasChecksum: boolean;
  readonly contentSize: bigint | undefined;
}

/**
 * Makes a decoder that reads one frame (RFC 8878) per call. The frames of an input share the
 * decoder's memory. It parses a frame itself, decodes one block at a time, whose content is at most
 * 128 KiB, and checks the checksum.
 */
export function zstdDecoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  const blocks = new ZstdBlocks();
  let hasher: IHasher | undefined;
  let largestWindow = 0;
  return async function* (input) {
    await input.need(4);
    const magic = viewOf(input.bytes).getUint32(0, true);
    if (isSkippable(magic)) await skipFrame(input);
    else if (magic === FRAME_MAGIC) {
      const header = await readHeader(input);
      if (header.hasChecksum) hasher ??= await createXXHash64();
      if (header.windowSize > largestWindow) {
        blocks.forget();
        largestWindow = header.windowSize;
        await input.reserve(arrayMemory, SlidingWindow.capacity(largestWindow, MAX_BLOCK_SIZE));
      }
      yield* frame(input, header, blocks, header.hasChecksum ? hasher?.init() : undefined);
    } else throw new Error("this is not a zstd frame");
  };
}

async function* frame(
  input: CompressedInput,
  { windowSize, contentSize }: FrameHeader,
  blocks: ZstdBlocks,
  checksum: IHasher | undefined,
): AsyncGenerator<Uint8Array> {
  blocks.begin(windowSize);
  let size = 0n;
  for (let last = false; !last; ) {
    const block = await readBlock(input);
    last = block.last;
    const content = blocks.decode(block.bytes);
    size += BigInt(content.length);
    checksum?.update(content);
    if (content.length > 0) yield content;
    if (contentSize !== undefined && size > contentSize) throw new Error("a frame has more content than its header states");
  }
  if (contentSize !== undefined && size !== contentSize) throw new Error("a frame has less content than its header states");
  if (!checksum) return;
  await input.need(4);
  // The checksum is the lower half of the hash. The library returns the hash in big-endian order.
  const expected = viewOf(input.take(4)).getUint32(0, true);
  if (viewOf(checksum.digest("binary")).getUint32(4, false) !== expected) throw new Error("the checksum of a frame is wrong");
}

async function readHeader(input: CompressedInput): Promise<FrameHeader> {
  await input.need(5);
  const descriptor = viewOf(input.bytes).getUint8(4);
  if (descriptor & 0x08) throw new Error("a frame uses a reserved bit");
  if (descriptor & 0x03) throw new Error("a frame needs a dictionary");
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const at = isSingleSegment ? 5 : 6;
  const sizeLength = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  await input.need(at + sizeLength);
  const view = viewOf(input.take(at + sizeLength));
  const contentSize = readSize(view, at, sizeLength);
  const windowSize = isSingleSegment ? Number(contentSize) : windowSizeOf(view.getUint8(5));
  if (windowSize > MAX_WINDOW) throw new Error(`a frame needs ${windowSize} bytes of memory; the limit is ${MAX_WINDOW}`);
  return { windowSize, hasChecksum: (descriptor & 0x04) !== 0, contentSize };
}

function readSize(view: DataView, at: number, length: number): bigint | undefined {
  if (length === 0) return undefined;
  if (length === 1) return BigInt(view.getUint8(at));
  if (length === 2) return BigInt(view.getUint16(at, true) + 256);
  return length === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
}

function windowSizeOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

async function readBlock(input: CompressedInput): Promise<{ bytes: Uint8Array; last: boolean }> {
  await input.need(3);
  const view = viewOf(input.bytes);
  const header = view.getUint16(0, true) | (view.getUint8(2) << 16);
  const size = header >> 3;
  const isRun = ((header >> 1) & 3) === 1;
  if (size > MAX_BLOCK_SIZE) throw new Error("a block is too large");
  const length = 3 + (isRun ? 1 : size);
  await input.need(length);
  return { bytes: input.take(length), last: (header & 1) !== 0 };
}
