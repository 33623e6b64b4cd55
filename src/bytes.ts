import { StoreError } from "./error.ts";

/**
 * Byte strings: order, text forms, joining. File names, digests and hashes are all byte strings
 * here.
 */

const encoder = new TextEncoder();
const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const strictDecoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

/** Encodes `text` as UTF-8. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Decodes `bytes` for display only. Each byte that isn't valid UTF-8 becomes U+FFFD, so the
 * original bytes can't be recovered.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes);
}

/** Decodes `bytes`. Returns `undefined` if they are not valid UTF-8. */
export function decodeUtf8Strict(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Compares bytewise; a prefix comes before a longer string. The result is negative, zero or
 * positive.
 */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** Creates a `DataView` of the same bytes, without a copy. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Copies `parts` into one new buffer, one after the other. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/**
 * Returns the bytes of `parts` in a buffer that holds nothing else. Copies them, unless one part
 * fills its buffer. The parts must belong to the caller.
 */
export function ownBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [first] = parts;
  if (parts.length === 1 && first?.buffer instanceof ArrayBuffer && first.length === first.buffer.byteLength) {
    return new Uint8Array(first.buffer);
  }
  return concatBytes(parts);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Encodes as lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/**
 * Decodes hexadecimal in either case.
 *
 * @throws StoreError `invalid` if `text` is not an even number of hexadecimal digits
 */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw new StoreError("invalid", `not hexadecimal: ${quote(text)}`);
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Encodes as base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x2000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x2000));
  return btoa(binary);
}

/** Encodes as base64 with the URL alphabet and no padding (RFC 4648, section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * Decodes exactly the texts that `toBase64` writes. Padding must be there and unused bits must be
 * zero, so that each byte string has one text.
 *
 * @throws StoreError `invalid` for any other text
 */
export function fromBase64(text: string): Uint8Array {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw new StoreError("invalid", `not base64: ${quote(text)}`);
  return bytes;
}

/**
 * Decodes exactly the texts that `toBase64Url` writes; as strict as `fromBase64`.
 *
 * @throws StoreError `invalid` for any other text
 */
export function fromBase64Url(text: string): Uint8Array {
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  const bytes = /[+/=]/.test(text) ? undefined : decodeBase64(standard + "=".repeat((4 - (standard.length % 4)) % 4));
  if (bytes === undefined) throw new StoreError("invalid", `not base64url: ${quote(text)}`);
  return bytes;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const NOT_BASE64 = 255;
const SEXTETS = new Uint8Array(128).fill(NOT_BASE64);
for (let i = 0; i < BASE64.length; i++) SEXTETS[BASE64.charCodeAt(i)] = i;

/**
 * Decodes exactly the texts that `toBase64` writes, and returns `undefined` for others. `atob`
 * accepts several texts for the same bytes, and a check by encoding the result again would cost
 * more than this decoder.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let waiting = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < text.length - padding; i++) {
    const sextet = SEXTETS[text.charCodeAt(i)] ?? NOT_BASE64;
    if (sextet === NOT_BASE64) return undefined;
    waiting = (waiting << 6) | sextet;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = waiting >> bits;
    waiting &= (1 << bits) - 1;
  }
  return waiting === 0 ? bytes : undefined;
}

/**
 * Puts `text` in quotes for a message. Cuts text longer than 120 characters, because text from
 * outside must not flood a log.
 */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}...` : text);
}

/** Decodes a file name for display in a message and puts it in quotes. */
export function quoteBytes(bytes: Uint8Array): string {
  return quote(decodeUtf8(bytes.subarray(0, 400)));
}
