import { compress, decompress, init } from "@bokuweb/zstd-wasm";
import { viewOf } from "../bytes.ts";
import {
  BLOCK_HEADER,
  FRAME_MAGIC,
  FRAME_START,
  frameHeaderLength,
  parseBlockHeader,
  parseFrameHeader,
} from "../compression/zstd-frame.ts";
import { StoreError } from "../error.ts";

// Initialize here, so that the functions don't need `await`. The library has one instance in a
// process, and breaks if it is initialized again: then `compress` returns zeros. So several copies
// of this module share the promise.
const INITIALIZED = Symbol.for("tvix-store-web: zstd is initialized");
const shared: typeof globalThis & { [INITIALIZED]?: Promise<void> } = globalThis;
shared[INITIALIZED] ??= init();
await shared[INITIALIZED];

/**
 * Compression level: half again as fast as the usual level 3, for chunks that are a tenth larger.
 */
const LEVEL = 1;

/**
 * Compresses `bytes` into one zstd frame that declares its size.
 *
 * @throws StoreError `internal` if the library returns something else: another user of the library
 *   in this process has initialized it again
 */
export function compressZstd(bytes: Uint8Array): Uint8Array {
  const frame = compress(bytes, LEVEL);
  if (!isFrameOf(frame, bytes.length)) throw new StoreError("internal", "the zstd library returned no zstd frame of the input");
  return frame;
}

function isFrameOf(frame: Uint8Array, size: number): boolean {
  try {
    const bound = contentBound(frame);
    return bound.exact && bound.size === size;
  } catch {
    return false;
  }
}

/**
 * Decompresses one zstd frame. Allocates at most `limit` bytes for the content. If the frame
 * declares its size, this size is checked first. Streaming encoders declare no size; then the size
 * that the frame's blocks may have is allocated.
 *
 * @param what name of the data for messages, for example `chunk b3:...`
 * @throws StoreError `corrupt` if the frame is damaged, or its content has more than `limit` bytes
 */
export function decompressZstd(frame: Uint8Array, limit: number, what: string): Uint8Array {
  try {
    const bound = contentBound(frame);
    if (bound.exact && bound.size > limit)
      throw new StoreError("corrupt", `${what} declares ${bound.size} bytes of content, more than the limit of ${limit}`);
    return decompress(frame, { defaultHeapSize: Math.min(bound.size, limit) });
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StoreError("corrupt", `${what} can't be decompressed: ${reason}`, { cause: error });
  }
}

/** @throws Error if the frame is damaged or cut short */
function contentBound(frame: Uint8Array): { size: number; exact: boolean } {
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (at + length > frame.length) throw new Error("the zstd frame is cut short");
    at += length;
    return frame.subarray(at - length, at);
  };
  const start = take(FRAME_START);
  if (viewOf(start).getUint32(0, true) !== FRAME_MAGIC) throw new Error("it is not a zstd frame");
  at = 0;
  const { contentSize } = parseFrameHeader(take(frameHeaderLength(start)));
  if (contentSize !== undefined) return { size: Number(contentSize), exact: true };
  let size = 0;
  for (let isLast = false; !isLast; ) {
    const block = parseBlockHeader(take(BLOCK_HEADER));
    take(block.length);
    size += block.contentSize;
    isLast = block.isLast;
  }
  return { size, exact: false };
}
