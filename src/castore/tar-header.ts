import { concatBytes, utf8 } from "../bytes.ts";

/** Length of a header in bytes. Headers and contents begin at multiples of this length. */
export const TAR_BLOCK_SIZE = 512;

const SPACE = 0x20;
const TAB = 0x09;
const SLASH = utf8("/");

/** A fault in an archive. The parser turns it into a StoreError that gives the offset. */
export class TarFault extends Error {
  override readonly name = "TarFault";
}

/** The fields of a 512-byte header that decide what an entry becomes. */
export interface TarHeader {
  /** The type flag, one character. */
  readonly type: string;
  readonly path: Uint8Array;
  readonly linkPath: Uint8Array;
  /** Bytes of content, as the header claims. */
  readonly size: number;
  /** Permission bits. Higher bits may be set too. */
  readonly mode: number;
  /**
   * Whether the header is of GNU tar's own format, which has a sparse map where ustar has a prefix.
   */
  readonly isGnu: boolean;
}

/**
 * Parses a header.
 *
 * @throws TarFault if the checksum is wrong, or the size is not a number of bytes
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  checkSum(block);
  const hasUstarMagic = hasText(block, 257, "ustar");
  const isGnu = hasUstarMagic && hasText(block, 262, "  \0");
  const hasPrefix = hasUstarMagic && !isGnu && block[345] !== 0;
  const name = cString(block.subarray(0, 100));
  return {
    type: String.fromCharCode(block[156] as number),
    path: hasPrefix ? concatBytes([cString(block.subarray(345, 500)), SLASH, name]) : name,
    linkPath: cString(block.subarray(157, 257)),
    size: tarSize(block.subarray(124, 136)),
    mode: tarNumber(block.subarray(100, 108)) ?? 0,
    isGnu,
  };
}

/** Reads a number of bytes. @throws TarFault if `field` is negative, too large, or not a number */
export function tarSize(field: Uint8Array): number {
  const value = tarNumber(field);
  if (value === undefined) throw new TarFault("a size is not a number");
  if (value < 0 || !Number.isSafeInteger(value)) throw new TarFault("a size is negative or too large");
  return value;
}

/**
 * Reads a numeric field like libarchive, with which Nix unpacks: blanks, then octal digits up to
 * any other byte. If the top bit of the first byte is set, the field is a signed big-endian number
 * instead. GNU tar and star write large and negative numbers this way.
 *
 * @returns `undefined` if the field does not begin with a number; 0 for an empty field
 */
function tarNumber(field: Uint8Array): number | undefined {
  if (((field[0] as number) & 0x80) !== 0) {
    let value = 0n;
    for (const byte of field) value = (value << 8n) | BigInt(byte);
    // The top bit marks the format. The next bit is the sign.
    return Number(BigInt.asIntN(field.length * 8 - 1, value));
  }
  let at = 0;
  while (field[at] === SPACE || field[at] === TAB) at++;
  const start = at;
  let value = 0;
  for (; at < field.length; at++) {
    const digit = (field[at] as number) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  const isText = at === start && at < field.length && field[at] !== 0;
  return isText ? undefined : value;
}

/** Whether all bytes are zero. The first such block ends an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (const byte of block) if (byte !== 0) return false;
  return true;
}

/** A copy of `field` up to its first NUL. */
export function cString(field: Uint8Array): Uint8Array {
  const end = field.indexOf(0);
  return field.slice(0, end === -1 ? field.length : end);
}

function checkSum(block: Uint8Array): void {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < TAR_BLOCK_SIZE; i++) {
    // The sum counts the bytes of its own field as blanks.
    const byte = i >= 148 && i < 156 ? SPACE : (block[i] as number);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const sum = tarNumber(block.subarray(148, 156));
  // Some old tar programs summed signed bytes.
  if (sum !== unsigned && sum !== signed)
    throw new TarFault("this is not a tar archive, or it is damaged: a header's checksum is wrong");
}

function hasText(block: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (block[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
