import { equalBytes, viewOf } from "../bytes.ts";

/**
 * The headers of a stream and of its blocks (the .xz file format, version 1.2.1, sections 2.1 and
 * 3.1). Each ends with its CRC-32.
 */

const STREAM_MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
const FOOTER_MAGIC = Uint8Array.of(0x59, 0x5a);
/** Length of a stream's header, and of its footer, in bytes. */
export const STREAM_HEADER = 12;

const HAS_COMPRESSED_SIZE = 0x40;
const HAS_SIZE = 0x80;
const RESERVED = 0x3c;
/** The longest integer in bytes, of seven bits each. */
export const LONGEST_INTEGER = 9;

type Crc32 = (bytes: Uint8Array) => number;

export interface FilterFlags {
  readonly id: number;
  readonly properties: Uint8Array;
}

export interface BlockHeader {
  /** Size in bytes of what LZMA2 gives, if the header says it. */
  readonly size: number | undefined;
  /** Size of the LZMA2 data in bytes, if the header says it. */
  readonly compressedSize: number | undefined;
  /** One to four filters, in the encoder's order: LZMA2 is the last. */
  readonly filters: readonly FilterFlags[];
}

/** @returns the type of the stream's checks. @throws Error */
export function parseStreamHeader(bytes: Uint8Array, crc32: Crc32): number {
  if (!equalBytes(bytes.subarray(0, 6), STREAM_MAGIC)) throw new Error("this is not an xz stream");
  const flags = bytes.subarray(6, 8);
  if (crc32(flags) !== viewOf(bytes).getUint32(8, true)) throw new Error("a stream's header is damaged");
  return parseFlags(flags);
}

/** @returns the type of the stream's checks, and the size of its index in bytes. @throws Error */
export function parseStreamFooter(bytes: Uint8Array, crc32: Crc32): { check: number; indexSize: number } {
  const view = viewOf(bytes);
  if (!equalBytes(bytes.subarray(10), FOOTER_MAGIC) || crc32(bytes.subarray(4, 10)) !== view.getUint32(0, true))
    throw new Error("a stream's end is damaged");
  return { check: parseFlags(bytes.subarray(8, 10)), indexSize: (view.getUint32(4, true) + 1) * 4 };
}

function parseFlags([first = 0, second = 0]: Uint8Array): number {
  if (first !== 0 || second > 0x0f) throw new Error("it uses flags that are not known");
  return second;
}

/** @param bytes the whole header. @throws Error */
export function parseBlockHeader(bytes: Uint8Array, crc32: Crc32): BlockHeader {
  const end = bytes.length - 4;
  if (crc32(bytes.subarray(0, end)) !== viewOf(bytes).getUint32(end, true)) throw new Error("a block's header is damaged");
  const flags = bytes[1] as number;
  if ((flags & RESERVED) !== 0) throw new Error("a block uses flags that are not known");
  const content = bytes.subarray(0, end);
  let at = 2;
  const integer = (): number => {
    const { value, length } = parseInteger(content, at);
    at += length;
    return value;
  };
  const compressedSize = (flags & HAS_COMPRESSED_SIZE) !== 0 ? integer() : undefined;
  const size = (flags & HAS_SIZE) !== 0 ? integer() : undefined;
  const filters: FilterFlags[] = [];
  for (let i = 0; i <= (flags & 3); i++) {
    const id = integer();
    const length = integer();
    if (length > end - at) throw new Error("a block's header is damaged");
    filters.push({ id, properties: content.slice(at, at + length) });
    at += length;
  }
  if (content.subarray(at).some((byte) => byte !== 0)) throw new Error("a block uses flags that are not known");
  return { size, compressedSize, filters };
}

/** An integer of seven bits a byte, the low ones first, in its shortest form. @throws Error */
export function parseInteger(bytes: Uint8Array, at: number): { value: number; length: number } {
  let value = 0;
  for (let length = 1; length <= LONGEST_INTEGER; length++) {
    const byte = bytes[at + length - 1];
    if (byte === undefined || (byte === 0 && length > 1)) break;
    value += (byte & 0x7f) * 2 ** (7 * (length - 1));
    if (byte >= 0x80) continue;
    if (value > Number.MAX_SAFE_INTEGER) break;
    return { value, length };
  }
  throw new Error("a size is damaged");
}
