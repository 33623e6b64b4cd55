import { concatBytes, decodeUtf8, EMPTY_BYTES, equalBytes, quoteBytes, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";

/**
 * A streaming reader of tar: ustar (POSIX.1-1988), pax (POSIX.1-2001) and GNU's extensions for long names and large numbers.
 *
 * Names stay bytes throughout, pax records included, because names in a store path are bytes: libraries for tar decode them.
 */

export type TarEntryType = "file" | "hard link" | "symlink" | "directory";

export interface TarEntry {
  readonly type: TarEntryType;
  /** As it stands in the archive; not empty, otherwise unchecked. */
  readonly path: Uint8Array;
  /** Of hard links and symlinks. */
  readonly linkPath: Uint8Array;
  /** Length of the content that follows, in bytes; 0 for what has none. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Some of the last entry's content: a view of what was pushed. */
  content(bytes: Uint8Array): void;
  /** The last entry and its content are complete. */
  end(): void;
}

const BLOCK = 512;
/** Of one long name or one set of pax records. */
const MAX_EXTENSION_SIZE = 1024 * 1024;

const TYPES: Record<string, TarEntryType | "long path" | "long link path" | "pax" | "global pax"> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hard link",
  "2": "symlink",
  "5": "directory",
  L: "long path",
  K: "long link path",
  x: "pax",
  g: "global pax",
};

const REFUSED: Record<string, string> = {
  "3": "a character device",
  "4": "a block device",
  "6": "a FIFO",
  S: "a sparse file",
  M: "a part of a file from another volume",
};

type PaxRecords = Map<string, Uint8Array>;

export class TarParser {
  #handler: TarHandler;
  #offset = 0;

  /** A header, or an extension's content, that is not complete yet. */
  #carried: Uint8Array[] = [];
  #carriedSize = 0;
  #wanted = BLOCK;
  /** Takes what was wanted; by default a header. */
  #take: (bytes: Uint8Array) => void = (bytes) => this.#header(bytes);

  #content = 0;
  #padding = 0;
  #inEntry = false;
  #ended = false;

  #global: PaxRecords = new Map();
  #pax: PaxRecords | undefined;
  #longPath: Uint8Array | undefined;
  #longLinkPath: Uint8Array | undefined;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** @throws StoreError `invalid` with the offset of the header at fault */
  push(chunk: Uint8Array): void {
    let position = 0;
    while (position < chunk.length && !this.#ended) {
      const left = chunk.length - position;
      let taken: number;
      if (this.#content > 0) {
        taken = Math.min(left, this.#content);
        this.#handler.content(chunk.subarray(position, position + taken));
        this.#content -= taken;
        if (this.#content === 0) this.#endEntry();
      } else if (this.#padding > 0) {
        taken = Math.min(left, this.#padding);
        this.#padding -= taken;
      } else {
        taken = Math.min(left, this.#wanted - this.#carriedSize);
        this.#carry(chunk.subarray(position, position + taken));
      }
      position += taken;
      this.#offset += taken;
    }
  }

  /** The archive's bytes are all there. What follows its end marker is ignored, as every tar does. */
  end(): void {
    if (!this.#ended) throw this.#invalid(this.#offset === 0 ? "is empty" : "is cut short: it has no end marker");
  }

  #carry(bytes: Uint8Array): void {
    this.#carriedSize += bytes.length;
    if (this.#carriedSize < this.#wanted) {
      this.#carried.push(bytes.slice());
      return;
    }
    const whole = this.#carried.length > 0 ? concatBytes([...this.#carried, bytes]) : bytes;
    this.#carried = [];
    this.#carriedSize = 0;
    this.#take(whole);
  }

  #header(block: Uint8Array): void {
    if (block.every((byte) => byte === 0)) {
      this.#ended = true;
      return;
    }
    this.#checkSum(block);
    const flag = String.fromCharCode(block[156] as number);
    const type = TYPES[flag];
    const size = this.#number(block.subarray(124, 136), "size");
    if (type === "pax" || type === "global pax" || type === "long path" || type === "long link path") {
      this.#extension(type, size);
      return;
    }
    const path = this.#longPath ?? this.#record("path") ?? ustarPath(block);
    if (!type)
      throw this.#invalid(`entry ${quoteBytes(path)} is ${REFUSED[flag] ?? `of the unknown type ${JSON.stringify(flag)}`}`);
    this.#entry(type, path, block, size);
  }

  #entry(type: TarEntryType, path: Uint8Array, block: Uint8Array, headerSize: number): void {
    for (const key of this.#pax?.keys() ?? []) {
      if (key.startsWith("GNU.sparse.")) throw this.#invalid(`entry ${quoteBytes(path)} is a sparse file`);
    }
    if (path.length === 0) throw this.#invalid("has an entry without a name");
    const recordedSize = this.#record("size");
    const size = recordedSize ? this.#decimal(recordedSize, "size") : headerSize;
    // Only pax gives a hard link content of its own; older formats repeat the size there and have nothing follow.
    const hasContent = type === "file" || (type === "hard link" && this.#pax !== undefined);
    // The oldest archives know no directories but by their name.
    const isDirectory = type === "directory" || (type === "file" && path.at(-1) === SLASH);
    const linkPath = this.#longLinkPath ?? this.#record("linkpath") ?? cString(block.subarray(157, 257));
    const mode = this.#number(block.subarray(100, 108), "mode");
    this.#pax = undefined;
    this.#longPath = undefined;
    this.#longLinkPath = undefined;
    this.#content = hasContent && !isDirectory ? size : 0;
    this.#padding = (BLOCK - (this.#content % BLOCK)) % BLOCK;
    this.#inEntry = true;
    this.#handler.entry({ type: isDirectory ? "directory" : type, path, linkPath, size: this.#content, mode });
    if (this.#content === 0) this.#endEntry();
  }

  #endEntry(): void {
    if (!this.#inEntry) return;
    this.#inEntry = false;
    this.#handler.end();
  }

  #extension(type: "pax" | "global pax" | "long path" | "long link path", size: number): void {
    if (size > MAX_EXTENSION_SIZE) throw this.#invalid(`has a header extension of ${size} bytes`);
    const padded = Math.ceil(size / BLOCK) * BLOCK;
    const take = (bytes: Uint8Array): void => {
      this.#wanted = BLOCK;
      this.#take = (block) => this.#header(block);
      const content = bytes.slice(0, size);
      if (type === "long path") this.#longPath = cString(content);
      else if (type === "long link path") this.#longLinkPath = cString(content);
      else if (type === "pax") this.#pax = this.#records(content);
      else for (const [key, value] of this.#records(content)) this.#global.set(key, value);
    };
    if (padded === 0) {
      take(EMPTY_BYTES);
      return;
    }
    this.#wanted = padded;
    this.#take = take;
  }

  /** `<length> <key>=<value>\n`, one after the other, the length counting the whole record. */
  #records(bytes: Uint8Array): PaxRecords {
    const records: PaxRecords = new Map();
    for (let start = 0; start < bytes.length; ) {
      const space = bytes.indexOf(0x20, start);
      const length = space > start && space - start <= 8 ? this.#decimal(bytes.subarray(start, space), "pax record length") : 0;
      const end = start + length;
      const equals = bytes.indexOf(0x3d, space + 1);
      if (length === 0 || end > bytes.length || bytes[end - 1] !== 0x0a || equals === -1 || equals >= end) {
        throw this.#invalid("has a pax record that is not `length key=value`");
      }
      const key = decodeUtf8(bytes.subarray(space + 1, equals));
      const value = bytes.slice(equals + 1, end - 1);
      // An empty value takes back what a global header said.
      records.set(key, value);
      start = end;
    }
    return records;
  }

  #record(key: string): Uint8Array | undefined {
    const value = this.#pax?.get(key) ?? this.#global.get(key);
    return value && value.length > 0 ? value : undefined;
  }

  #checkSum(block: Uint8Array): void {
    let unsigned = 0;
    let signed = 0;
    for (let i = 0; i < BLOCK; i++) {
      const byte = i >= 148 && i < 156 ? 0x20 : (block[i] as number);
      unsigned += byte;
      signed += byte < 128 ? byte : byte - 256;
    }
    const sum = this.#number(block.subarray(148, 156), "checksum");
    // Some old tars summed signed bytes.
    if (sum !== unsigned && sum !== signed)
      throw this.#invalid("is not a tar archive, or is damaged: a header's checksum is wrong");
  }

  /** Octal digits, or GNU's form for large numbers: the top bit set, then big-endian. */
  #number(field: Uint8Array, what: string): number {
    if (((field[0] as number) & 0x80) !== 0) {
      let value = (field[0] as number) & 0x7f;
      for (const byte of field.subarray(1)) {
        value = value * 256 + byte;
        if (value > Number.MAX_SAFE_INTEGER) throw this.#invalid(`has a ${what} that is negative or too large`);
      }
      return value;
    }
    const text = decodeUtf8(cString(field)).trim();
    if (!/^[0-7]*$/.test(text)) throw this.#invalid(`has a ${what} that is not a number`);
    return text === "" ? 0 : Number.parseInt(text, 8);
  }

  #decimal(field: Uint8Array, what: string): number {
    const text = decodeUtf8(field);
    const value = Number(text);
    if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) throw this.#invalid(`has a ${what} that is not a number`);
    return value;
  }

  #invalid(message: string): StoreError {
    return new StoreError("invalid", `tar archive, near byte ${this.#offset}: ${message}`);
  }
}

const SLASH = 0x2f;
const USTAR = utf8("ustar\0");

function ustarPath(block: Uint8Array): Uint8Array {
  const name = cString(block.subarray(0, 100));
  // GNU's own format has the same magic but for a space, and other things where ustar has the prefix.
  const prefix = equalBytes(block.subarray(257, 263), USTAR) ? cString(block.subarray(345, 500)) : EMPTY_BYTES;
  return prefix.length > 0 ? concatBytes([prefix, new Uint8Array([SLASH]), name]) : name;
}

/** A copy up to the first NUL. */
function cString(field: Uint8Array): Uint8Array {
  const end = field.indexOf(0);
  return field.slice(0, end === -1 ? field.length : end);
}
