/**
 * Decides how a file can be shown. Only the first bytes of the file decide, because a file name
 * proves nothing, and a wrong type must not make a browser treat the content differently. SVG is
 * recognised by its text.
 */

export type ImageType =
  | "image/png"
  | "image/jpeg"
  | "image/gif"
  | "image/webp"
  | "image/avif"
  | "image/bmp"
  | "image/x-icon"
  | "image/svg+xml";

/** Number of bytes at the start that `imageType` examines. */
export const SNIFF_LENGTH = 1024;

/** Type of an image that browsers can show; undefined for any other file. */
export function imageType(head: Uint8Array): ImageType | undefined {
  if (starts(head, 0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png";
  if (starts(head, 0, 0xff, 0xd8, 0xff)) return "image/jpeg";
  if (ascii(head, 0, 6) === "GIF87a" || ascii(head, 0, 6) === "GIF89a") return "image/gif";
  if (ascii(head, 0, 4) === "RIFF" && ascii(head, 8, 4) === "WEBP") return "image/webp";
  if (ascii(head, 4, 4) === "ftyp" && /^avi[fs]$/.test(ascii(head, 8, 4))) return "image/avif";
  if (ascii(head, 0, 2) === "BM" && starts(head, 6, 0, 0, 0, 0)) return "image/bmp";
  if (starts(head, 0, 0, 0, 1, 0) && (head[4] ?? 0) > 0) return "image/x-icon";
  if (isSvg(ascii(head, 0, SNIFF_LENGTH))) return "image/svg+xml";
  return undefined;
}

/**
 * Whether the first element is `svg`. White space, an XML declaration, comments, and a document
 * type without declarations may come before it.
 */
function isSvg(text: string): boolean {
  let rest = text.replace(/^\u00ef\u00bb\u00bf/, "").trimStart();
  for (;;) {
    const end = rest.startsWith("<!--") ? "-->" : /^<(\?xml|!DOCTYPE svg)\s/.test(rest) ? ">" : undefined;
    if (end === undefined) return /^<svg[\s>]/.test(rest);
    const at = rest.indexOf(end);
    if (at < 0) return false;
    rest = rest.slice(at + end.length).trimStart();
  }
}

function starts(head: Uint8Array, offset: number, ...bytes: number[]): boolean {
  return bytes.every((byte, i) => head[offset + i] === byte);
}

function ascii(head: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...head.subarray(offset, offset + length));
}

export interface DecodedText {
  text: string;
  /** Name to show, for example `UTF-8`. */
  encoding: string;
}

/**
 * Decodes text; undefined if the bytes look binary. Tries UTF-16 if there is a byte order mark,
 * then UTF-8. Otherwise takes Windows-1252, which has a character for every byte. Control
 * characters that text does not use make bytes look binary, except in UTF-16.
 *
 * @param cut whether the file continues after `bytes`, so that the last character may be incomplete
 */
export function decodeText(bytes: Uint8Array, cut: boolean): DecodedText | undefined {
  if (starts(bytes, 0, 0xff, 0xfe)) return decode(bytes, "utf-16le", "UTF-16", cut);
  if (starts(bytes, 0, 0xfe, 0xff)) return decode(bytes, "utf-16be", "UTF-16", cut);
  if (bytes.some((byte) => byte < 0x20 && !TEXT_CONTROLS.has(byte))) return undefined;
  return decode(bytes, "utf-8", "UTF-8", cut) ?? decode(bytes, "windows-1252", "Windows-1252, a guess", cut);
}

// Tab, line feed, vertical tab, form feed, carriage return, and the escape that starts terminal
// colours.
const TEXT_CONTROLS: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1b]);

function decode(bytes: Uint8Array, label: string, encoding: string, cut: boolean): DecodedText | undefined {
  try {
    return { text: new TextDecoder(label, { fatal: true }).decode(bytes, { stream: cut }), encoding };
  } catch {
    return undefined;
  }
}
