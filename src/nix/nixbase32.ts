import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/**
 * Nix's own base 32: the digits leave out `e`, `o`, `t` and `u`, and the bits are taken from the end of the byte string, so that
 * the last digit holds the lowest bits of the first byte.
 */
export const NIXBASE32_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";

const NOT_A_DIGIT = 255;
const DIGITS = new Uint8Array(128).fill(NOT_A_DIGIT);
for (let i = 0; i < NIXBASE32_ALPHABET.length; i++) DIGITS[NIXBASE32_ALPHABET.charCodeAt(i)] = i;

/** How many digits `byteLength` bytes take. */
export function nixbase32Length(byteLength: number): number {
  return Math.ceil((byteLength * 8) / 5);
}

/** The text of `bytes` in Nix's base 32. */
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
 * The inverse of `encodeNixbase32`: each byte string has exactly one text.
 *
 * @throws StoreError `invalid` for a character outside the alphabet, a length that no byte string has, or unused bits that are set.
 */
export function decodeNixbase32(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  if (nixbase32Length(bytes.length) !== text.length) {
    throw new StoreError("invalid", `not nixbase32, no bytes are ${text.length} digits long: ${quote(text)}`);
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
