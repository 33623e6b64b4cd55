import { Decompress } from "fzstd";
import { createXXHash64 } from "hash-wasm";
import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { isSkippable, skipFrame } from "./skippable-frame.ts";

const FRAME_MAGIC = 0xfd2fb528;
const MAX_BLOCK_SIZE = 128 * 1024;
/**
 * What a frame may refer back to, in bytes; zstd itself takes no more unless told to. It is
 * allocated.
 */
const MAX_WINDOW = 128 * 1024 * 1024;

const HAS_CHECKSUM = 0x04;

interface FrameHeader {
  /** Without the mark of a checksum: the decoder would not look at it. */
  readonly bytes: Uint8Array;
  readonly hasChecksum: boolean;
  readonly contentSize: bigint | undefined;
}

/**
 * One frame of RFC 8878. It is taken apart here, so that the decoder is given a block at a time,
 * which can't become more than 128 KiB, and so that checksums are looked at.
 */
export async function* unzstd(input: CompressedInput): AsyncGenerator<Uint8Array> {
  await input.need(4);
  const magic = viewOf(input.bytes).getUint32(0, true);
  if (magic === FRAME_MAGIC) yield* frame(input);
  else if (isSkippable(magic)) await skipFrame(input);
  else throw new Error("this is not a zstd frame");
}

async function* frame(input: CompressedInput): AsyncGenerator<Uint8Array> {
  const { bytes, hasChecksum, contentSize } = await readHeader(input);
  const decoded: Uint8Array[] = [];
  const decoder = new Decompress((piece) => decoded.push(piece));
  decoder.push(bytes);
  const checksum = hasChecksum ? (await createXXHash64()).init() : undefined;
  let size = 0n;
  for (let last = false; !last; ) {
    const block = await readBlock(input);
    last = block.last;
    decoder.push(block.bytes, last);
    for (const piece of decoded.splice(0)) {
      size += BigInt(piece.length);
      checksum?.update(piece);
      if (piece.length > 0) yield piece;
    }
    if (contentSize !== undefined && size > contentSize) throw new Error("a frame has more content than it says");
  }
  if (contentSize !== undefined && size !== contentSize) throw new Error("a frame has less content than it says");
  if (!checksum) return;
  await input.need(4);
  // The lower half of the hash, of which the library gives the bytes from the top down.
  const expected = viewOf(input.take(4)).getUint32(0, true);
  if (viewOf(checksum.digest("binary")).getUint32(4, false) !== expected)
    throw new Error("a frame has another checksum than it says");
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
  const bytes = input.take(at + sizeLength).slice();
  const view = viewOf(bytes);
  const contentSize = readSize(view, at, sizeLength);
  const window = isSingleSegment ? Number(contentSize) : windowSize(view.getUint8(5));
  if (window > MAX_WINDOW) throw new Error(`a frame wants ${window} bytes of memory, of which ${MAX_WINDOW} are allowed`);
  view.setUint8(4, descriptor & ~HAS_CHECKSUM);
  return { bytes, hasChecksum: (descriptor & HAS_CHECKSUM) !== 0, contentSize };
}

function readSize(view: DataView, at: number, length: number): bigint | undefined {
  if (length === 0) return undefined;
  if (length === 1) return BigInt(view.getUint8(at));
  if (length === 2) return BigInt(view.getUint16(at, true) + 256);
  return length === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
}

function windowSize(descriptor: number): number {
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
