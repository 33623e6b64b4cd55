import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/**
 * The digits of Nix's own base 32. They leave out `e`, `o`, `t` and `u`. The bits are taken from
 * the end of the byte string, so the last digit holds the lowest bits of the first byte.
 */
export const NIXBASE32_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";

const NOT_A_DIGIT = 255;
const DIGITS = new Uint8Array(128).fill(NOT_A_DIGIT);
for (let i = 0; i < NIXBASE32_ALPHABET.length; i++) DIGITS[NIXBASE32_ALPHABET.charCodeAt(i)] = i;

/** Returns the number of digits for `byteLength` bytes. */
export function nixbase32Length(byteLength: number): number {
  return Math.ceil((byteLength * 8) / 5);
}

/** Encodes `bytes` in Nix's base 32. */
export function encodeNixbase32(bytes: Uint8Array): string {
  let text = "";
  for (let n = nixbase32Length(bytes.length) - 1; n >= 0; n--) {
    const byte = (n * 5) >> 3;
    const bit = (n * 5) & 7;
    const low = (bytes[byte] as number) >> bit;
    const high = (bytes[byte + 1] ?? 0) << (8 - bit);
    text += NIXBASE32_ALPHABET[(low | high) & 31];
  }
  return text;
}

/**
 * Decodes the text of `encodeNixbase32`. Each byte string has exactly one text.
 *
 * @throws StoreError `invalid` for a character outside the alphabet, an impossible length, or
 *   unused bits that are set
 */
export function decodeNixbase32(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  if (nixbase32Length(bytes.length) !== text.length) {
    throw new StoreError("invalid", `not nixbase32, no byte string has ${text.length} digits: ${quote(text)}`);
  }
  for (let n = 0; n < text.length; n++) {
    const digit = DIGITS[text.charCodeAt(text.length - 1 - n)] ?? NOT_A_DIGIT;
    if (digit === NOT_A_DIGIT) throw new StoreError("invalid", `not nixbase32: ${quote(text)}`);
    const byte = (n * 5) >> 3;
    const bit = (n * 5) & 7;
    const spill = digit >> (8 - bit);
    bytes[byte] = (bytes[byte] as number) | (digit << bit);
    if (byte + 1 < bytes.length) bytes[byte + 1] = spill;
    else if (spill !== 0) throw new StoreError("invalid", `not nixbase32, unused bits are set: ${quote(text)}`);
  }
  return bytes;
}
