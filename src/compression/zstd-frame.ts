import { viewOf } from "../bytes.ts";

/** First four bytes of a frame, in little-endian order. */
export const FRAME_MAGIC = 0xfd2fb528;
/** Bytes at the beginning of a frame that tell the length of its header. */
export const FRAME_START = 5;
/** Length of a block's header, in bytes. */
export const BLOCK_HEADER = 3;
/** Maximum size of a block's content, in bytes. */
export const MAX_BLOCK_SIZE: number = 128 * 1024;

export interface FrameHeader {
  /** Number of bytes to which matches may refer. */
  readonly windowSize: number;
  readonly hasChecksum: boolean;
  /** Size of the content in bytes. Streaming encoders declare none. */
  readonly contentSize: bigint | undefined;
}

export interface BlockHeader {
  readonly kind: "stored" | "run" | "compressed";
  readonly isLast: boolean;
  /** Number of bytes that follow the header. */
  readonly length: number;
  /** Maximum size of the content, in bytes. It is exact except for compressed blocks. */
  readonly contentSize: number;
}

/**
 * Returns the length of a frame's header (RFC 8878, 3.1.1.1), in bytes.
 *
 * @param start the first `FRAME_START` bytes of the frame
 */
export function frameHeaderLength(start: Uint8Array): number {
  const descriptor = viewOf(start).getUint8(4);
  return FRAME_START + (isSingleSegment(descriptor) ? 0 : 1) + sizeLength(descriptor);
}

/**
 * Parses a frame's header.
 *
 * @param header as many bytes as `frameHeaderLength` returns
 * @throws Error if the frame needs features that no decoder here has
 */
export function parseFrameHeader(header: Uint8Array): FrameHeader {
  const view = viewOf(header);
  const descriptor = view.getUint8(4);
  if (descriptor & 0x08) throw new Error("a frame uses a reserved bit");
  if (descriptor & 0x03) throw new Error("a frame needs a dictionary");
  const contentSize = readSize(view, header.length - sizeLength(descriptor));
  const windowSize = isSingleSegment(descriptor) ? Number(contentSize) : windowSizeOf(view.getUint8(FRAME_START));
  return { windowSize, hasChecksum: (descriptor & 0x04) !== 0, contentSize };
}

/**
 * Parses a block's header (RFC 8878, 3.1.1.2).
 *
 * @param header the first `BLOCK_HEADER` bytes of the block
 * @throws Error if the block is damaged
 */
export function parseBlockHeader(header: Uint8Array): BlockHeader {
  const view = viewOf(header);
  const bits = view.getUint16(0, true) | (view.getUint8(2) << 16);
  const size = bits >> 3;
  if (size > MAX_BLOCK_SIZE) throw new Error("a block is too large");
  const kind = (["stored", "run", "compressed"] as const)[(bits >> 1) & 3];
  if (kind === undefined) throw new Error("a block is damaged");
  return {
    kind,
    isLast: (bits & 1) !== 0,
    length: kind === "run" ? 1 : size,
    contentSize: kind === "compressed" ? MAX_BLOCK_SIZE : size,
  };
}

function isSingleSegment(descriptor: number): boolean {
  return (descriptor & 0x20) !== 0;
}

/** Length in bytes of the field with the content's size. */
function sizeLength(descriptor: number): number {
  return [isSingleSegment(descriptor) ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
}

function readSize(view: DataView, at: number): bigint | undefined {
  const length = view.byteLength - at;
  if (length === 0) return undefined;
  if (length === 1) return BigInt(view.getUint8(at));
  if (length === 2) return BigInt(view.getUint16(at, true) + 256);
  return length === 4 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
}

function windowSizeOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}
