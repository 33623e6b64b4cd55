import { decodeUtf8Strict } from "../bytes.ts";

/**
 * Names of files are bytes that anyone may have chosen. What is shown must neither hide nor reorder anything: bytes that are not
 * UTF-8, control characters, and the invisible characters that change the direction of text become escapes.
 */

// Controls, invisible formatting (zero-width and direction-changing characters among it), line and paragraph separators.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Whether text would look other than it is. */
export const DIRECTION_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** A name, or a whole path, for show. */
export function showName(bytes: Uint8Array): string {
  const text = decodeUtf8Strict(bytes);
  return text === undefined ? escapeBytes(bytes) : showText(text);
}

/** One line of foreign text for show. */
export function showText(text: string): string {
  return text.replace(HIDDEN, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`);
}

/** The parts that are UTF-8 as text, the other bytes as `\xNN`. */
function escapeBytes(bytes: Uint8Array): string {
  let shown = "";
  let i = 0;
  while (i < bytes.length) {
    const length = sequenceLength(bytes[i] as number);
    const text = length === 0 ? undefined : decodeUtf8Strict(bytes.subarray(i, i + length));
    if (text === undefined) {
      shown += `\\x${(bytes[i] as number).toString(16).padStart(2, "0")}`;
      i += 1;
    } else {
      shown += showText(text);
      i += length;
    }
  }
  return shown;
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

/** A name that a browser will save under: shown form, without what file systems refuse. */
export function downloadName(bytes: Uint8Array): string {
  const name = showName(bytes).replace(/[\\/:*?"<>|]/g, "_");
  return name === "" || /^\.+$/.test(name) ? "file" : name;
}
