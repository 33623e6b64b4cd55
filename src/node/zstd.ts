import { compress, decompress, init } from "@bokuweb/zstd-wasm";
import { StoreError } from "../error.ts";

// Here, so that the functions need no `await`.
await init();

/** Half again as fast as the usual level 3, for chunks that are a tenth larger. */
const LEVEL = 1;

const MAGIC = 0xfd2fb528;
const MAX_BLOCK_SIZE = 128 * 1024;

/** One zstd frame that declares its size. */
export function compressZstd(bytes: Uint8Array): Uint8Array {
  return compress(bytes, LEVEL);
}

/**
 * The content of one zstd frame. Memory for it is only taken once it is known that it can't come to more than `limit` bytes: by the
 * size that the frame declares or, as streaming encoders declare none, by the number of its blocks.
 *
 * @param what for messages, for example `chunk b3:...`
 * @throws StoreError `corrupt`
 */
export function decompressZstd(frame: Uint8Array, limit: number, what: string): Uint8Array {
  const bound = contentBound(frame, what);
  if (bound.exact && bound.size > limit) {
    throw new StoreError("corrupt", `${what} declares ${bound.size} bytes of content, more than the ${limit} that are allowed`);
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
    // Raw and run-length blocks give their size; what a compressed one comes to is only known to be a block at most.
    size += type === 2 ? MAX_BLOCK_SIZE : blockSize;
    at += 3 + (type === 1 ? 1 : blockSize);
  }
  return { size, exact: false };
}
