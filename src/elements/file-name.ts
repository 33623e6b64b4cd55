import { decodeUtf8Strict } from "../bytes.ts";

/**
 * Shows file names. A file name is bytes that anyone may have chosen, so the shown text must
 * neither hide nor reorder anything. Bytes that are not UTF-8, control characters, and invisible
 * characters that change the direction of text become escapes.
 */

// Control characters, invisible formatting characters (some have no width, some change the
// direction of text), and line and paragraph separators.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Matches characters that make text look different from what it is. */
export const DIRECTION_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** Escapes a name or a whole path, so that it can be shown. */
export function showName(bytes: Uint8Array): string {
  const text = decodeUtf8Strict(bytes);
  return text === undefined ? escapeBytes(bytes) : showText(text);
}

/** Escapes one line of text from outside, so that it can be shown. */
export function showText(text: string): string {
  return text.replace(HIDDEN, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`);
}

/** Returns the UTF-8 parts as text, and other bytes as `\xNN`. */
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

/** File name for a download: the shown form, without characters that file systems refuse. */
export function downloadName(bytes: Uint8Array): string {
  const name = showName(bytes).replace(/[\\/:*?"<>|]/g, "_");
  return name === "" || /^\.+$/.test(name) ? "file" : name;
}
