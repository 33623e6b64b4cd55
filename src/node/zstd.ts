import { compress, decompress, init } from "@bokuweb/zstd-wasm";
import { StoreError } from "../error.ts";

// Initialize here, so that the functions don't need `await`.
await init();

/**
 * Compression level: half again as fast as the usual level 3, for chunks that are a tenth larger.
 */
const LEVEL = 1;

const MAGIC = 0xfd2fb528;
const MAX_BLOCK_SIZE = 128 * 1024;

/** Compresses `bytes` into one zstd frame that declares its size. */
export function compressZstd(bytes: Uint8Array): Uint8Array {
  return compress(bytes, LEVEL);
}

/**
 * Decompresses one zstd frame. Only allocates memory once the content is known to have at most
 * `limit` bytes. The bound is the size that the frame declares. Streaming encoders declare no size;
 * then the bound is calculated from the frame's blocks.
 *
 * @param what name of the data for messages, for example `chunk b3:...`
 * @throws StoreError `corrupt` if the frame is damaged or declares more than `limit` bytes
 */
export function decompressZstd(frame: Uint8Array, limit: number, what: string): Uint8Array {
  const bound = contentBound(frame, what);
  if (bound.exact && bound.size > limit) {
    throw new StoreError("corrupt", `${what} declares ${bound.size} bytes of content, more than the limit of ${limit}`);
  }
  try {
    return decompress(frame, { defaultHeapSize: Math.min(bound.size, limit) });
  } catch (error) {
    throw new StoreError("corrupt", `${what} can't be decompressed`, { cause: error });
  }
}

function contentBound(frame: Uint8Array, what: string): { size: number; exact: boolean } {
  const cutShort = () => new StoreError("corrupt", `${what} can't be decompressed: the zstd frame is cut short`);
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 6) throw cutShort();
  if (view.getUint32(0, true) !== MAGIC) throw new StoreError("corrupt", `${what} can't be decompressed: it is not a zstd frame`);
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  if (at + sizeBytes > frame.length) throw cutShort();
  if (sizeBytes === 1) return { size: view.getUint8(at), exact: true };
  if (sizeBytes === 2) return { size: view.getUint16(at, true) + 256, exact: true };
  if (sizeBytes === 4) return { size: view.getUint32(at, true), exact: true };
  if (sizeBytes === 8) return { size: Number(view.getBigUint64(at, true)), exact: true };
  let size = 0;
  for (let last = false; !last; ) {
    if (at + 3 > frame.length) throw cutShort();
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const blockSize = header >> 3;
    const type = (header >> 1) & 3;
    last = (header & 1) !== 0;
    // Raw and run-length blocks state the size of their content. The content of a compressed block
    // is at most one maximum block.
    size += type === 2 ? MAX_BLOCK_SIZE : blockSize;
    at += 3 + (type === 1 ? 1 : blockSize);
  }
  return { size, exact: false };
}
