import { utf8 } from "../../src/bytes.ts";

export interface HeaderFields {
  name: string | Uint8Array;
  type?: string;
  link?: string;
  size?: number;
  mode?: number;
  /** Magic and version, 8 bytes. POSIX's by default. */
  magic?: string;
  /** Raw field values by their offsets in the header. They overwrite other fields. */
  fields?: Readonly<Record<number, string | Uint8Array>>;
}

export const GNU_MAGIC = "ustar  \0";
export const V7_MAGIC = "\0".repeat(8);

/**
 * Makes a tar header that no tar program would write. The checksum is right unless `fields` has
 * one.
 */
export function header({
  name,
  type = "0",
  link = "",
  size = 0,
  mode = 0o644,
  magic = "ustar\x0000",
  fields = {},
}: HeaderFields): Uint8Array {
  const block = new Uint8Array(512);
  const put = (offset: number, value: string | Uint8Array) => block.set(typeof value === "string" ? bytes(value) : value, offset);
  put(0, name);
  put(100, `${octal(mode, 7)}\0`);
  put(108, "0000000\x000000000\0");
  put(124, `${octal(size, 11)}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, type);
  put(157, link);
  put(257, magic);
  for (const [offset, value] of Object.entries(fields)) put(Number(offset), value);
  if (!(148 in fields)) put(148, `${octal(checksum(block), 6)}\0 `);
  return block;
}

/** Calculates the checksum of a header that has none yet. */
export function checksum(block: Uint8Array): number {
  return block.reduce((sum, byte) => sum + byte, 0);
}

export function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

/** The bytes of a content, padded to whole blocks. */
export function body(content: string | Uint8Array): Uint8Array {
  const given = typeof content === "string" ? bytes(content) : content;
  const padded = new Uint8Array(Math.ceil(given.length / 512) * 512);
  padded.set(given);
  return padded;
}

/** An archive of headers and contents, with an end marker. Strings are contents. */
export function archive(...blocks: (Uint8Array | string)[]): Uint8Array {
  return Buffer.concat([...parts(blocks), new Uint8Array(1024)]);
}

/** An archive without an end marker. */
export function openArchive(...blocks: (Uint8Array | string)[]): Uint8Array {
  return Buffer.concat(parts(blocks));
}

/** A pax header with these records. */
export function pax(records: readonly (readonly [key: string, value: string])[], type = "x"): Uint8Array {
  return rawPax(records.map(([key, value]) => record(key, value)).join(""), type);
}

/** A pax header with this text in place of records. */
export function rawPax(text: string, type = "x"): Uint8Array {
  const content = utf8(text);
  return Buffer.concat([header({ name: "pax", type, size: content.length }), body(content)]);
}

export function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const { length } = utf8(rest);
  let total = length + 1;
  while (`${total}`.length + length !== total) total++;
  return `${total}${rest}`;
}

/** A long name as GNU tar writes it. */
export function longName(name: string, type: "L" | "K" = "L"): Uint8Array {
  const content = utf8(`${name}\0`);
  return Buffer.concat([header({ name: "././@LongLink", type, size: content.length, magic: GNU_MAGIC }), body(content)]);
}

function parts(blocks: readonly (Uint8Array | string)[]): Uint8Array[] {
  return blocks.map((block) => (typeof block === "string" ? body(block) : block));
}

/** Encodes each character as one byte. */
function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
