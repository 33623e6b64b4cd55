import { decodeUtf8, EMPTY_BYTES } from "../bytes.ts";
import { cString, TarFault } from "./tar-header.ts";
import { SparseMap, sparseMapOf } from "./tar-sparse.ts";

/**
 * Length of the longest key that is kept, in bytes. Only extended attributes have longer keys, and
 * they are skipped.
 */
const MAX_KEY_LENGTH = 512;
/** Longest value of a key that matters, in bytes. libarchive has the same limit for names. */
const MAX_VALUE_LENGTH = 1024 * 1024;
/** Maximum number of digits in the length of a record. */
const MAX_DIGITS = 24;

const TAB = 0x09;
const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/** The attributes that a pax header gives the next entry. An empty name counts as none. */
export interface PaxAttributes {
  path?: Uint8Array;
  linkPath?: Uint8Array;
  /** Bytes of content in the archive. */
  size?: number;
  /**
   * Name of a sparse file. Its `path` is a substitute for programs that can't read sparse files.
   */
  sparseName?: Uint8Array;
  /** Map of a sparse file, as GNU tar stores it in pax archives. */
  sparse?: SparseMap;
  /** Size in bytes that star gives a sparse file. */
  starSize?: number;
}

/**
 * Reads the records of a pax header (POSIX.1-2001): `<length> <key>=<value>\n`, where the length
 * counts the whole record. Records that can't change what an entry becomes (times, owners,
 * comments, extended attributes) are skipped and may have any length.
 *
 * GNU tar stops at a NUL in place of a record, and takes blanks and tabs before a length, and tabs
 * after it. libarchive, with which Nix reads, then ignores the rest of the header, and every name
 * in the whole header. So this checks the rest as GNU tar does, and ignores what libarchive
 * ignores.
 */
export class PaxReader {
  readonly attributes: PaxAttributes = {};
  #part: "length" | "key" | "value" | "end" | "padding" = "length";
  /** Bytes of this record that have not come yet. While its length is read: the length so far. */
  #left = 0;
  #digits = 0;
  /** Bytes of this record before its key. */
  #taken = 0;
  /** Whether this record and those after it change nothing. */
  #isIgnored = false;
  readonly #keyBytes = new Uint8Array(MAX_KEY_LENGTH);
  #keyLength = 0;
  /** Meaning of the key; `undefined` for a key that can't change the entry. */
  #meaning: PaxMeaning | undefined;
  #key = "";
  #value: Uint8Array = EMPTY_BYTES;
  #valueLength = 0;
  /**
   * Offset of a segment whose length has not come yet. Version 0.0 of GNU tar's sparse files gives
   * each segment in two records: its offset, then its length.
   */
  #segmentOffset: number | undefined;

  /** Reads more bytes. @throws TarFault if a record is malformed, or a value is out of range */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#part === "length") this.#readLength(bytes[at++] as number);
      else if (this.#part === "padding") return;
      else if (this.#part === "end") this.#readEnd(bytes[at++] as number);
      else if (this.#part === "key") at = this.#readKey(bytes, at);
      else at = this.#readValue(bytes, at);
    }
  }

  /** Ends the header. @throws TarFault if the last record is cut short */
  end(): void {
    if (this.#isIgnored || this.#part === "padding") {
      for (const name of ["path", "linkPath", "sparseName"] as const) delete this.attributes[name];
    }
    if ((this.#part !== "length" && this.#part !== "padding") || this.#digits > 0) throw notARecord();
  }

  #readLength(byte: number): void {
    const digit = byte - 0x30;
    this.#taken++;
    if (digit >= 0 && digit <= 9 && this.#digits < MAX_DIGITS) {
      this.#left = this.#left * 10 + digit;
      this.#digits++;
      return;
    }
    if (this.#digits === 0 && byte === 0) {
      this.#part = "padding";
      return;
    }
    const isBlank = byte === SPACE || byte === TAB;
    if (byte === TAB || this.#digits === 0) this.#isIgnored = true;
    if (this.#digits === 0 && isBlank) return;
    this.#left -= this.#taken;
    // A key, "=" and "\n" have at least three bytes.
    if (!isBlank || this.#digits === 0 || this.#left < 3 || !Number.isSafeInteger(this.#left)) throw notARecord();
    this.#digits = 0;
    this.#taken = 0;
    this.#keyLength = 0;
    this.#part = "key";
  }

  #readKey(bytes: Uint8Array, at: number): number {
    const equals = bytes.indexOf(EQUALS, at);
    const end = Math.min(equals === -1 ? bytes.length : equals, at + this.#left);
    const length = end - at;
    this.#left -= length;
    // "=" and "\n" are still to come.
    if (this.#left < 2) throw notARecord();
    this.#keyBytes.set(bytes.subarray(at, Math.min(end, at + MAX_KEY_LENGTH - this.#keyLength)), this.#keyLength);
    this.#keyLength = Math.min(this.#keyLength + length, MAX_KEY_LENGTH);
    if (end !== equals) return end;
    this.#left--;
    this.#beginValue();
    return end + 1;
  }

  #beginValue(): void {
    this.#key = decodeUtf8(this.#keyBytes.subarray(0, this.#keyLength));
    this.#meaning = this.#isIgnored ? undefined : MEANINGS.get(this.#key);
    const length = this.#left - 1;
    if (this.#meaning !== undefined && length > MAX_VALUE_LENGTH)
      throw new TarFault(`the pax record ${this.#key} is longer than ${MAX_VALUE_LENGTH} bytes`);
    this.#value = this.#meaning === undefined ? EMPTY_BYTES : new Uint8Array(length);
    this.#valueLength = 0;
    this.#part = length > 0 ? "value" : "end";
  }

  #readValue(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#left - 1);
    if (this.#meaning !== undefined) this.#value.set(bytes.subarray(at, end), this.#valueLength);
    this.#valueLength += end - at;
    this.#left -= end - at;
    if (this.#left === 1) this.#part = "end";
    return end;
  }

  #readEnd(byte: number): void {
    if (byte !== NEWLINE) throw notARecord();
    this.#part = "length";
    this.#left = 0;
    if (this.#meaning !== undefined) this.#record(this.#meaning, this.#value);
  }

  #record(meaning: PaxMeaning, value: Uint8Array): void {
    const { attributes } = this;
    switch (meaning) {
      // Names end at the first NUL, because every program that passes them to an operating system
      // ends them there.
      case "path":
        attributes.path = cString(value);
        return;
      case "linkPath":
        attributes.linkPath = cString(value);
        return;
      case "sparse name":
        attributes.sparseName = cString(value);
        return;
      case "sparse map":
        for (const [offset, length] of sparseMapOf(decodeUtf8(value))) this.#sparse().add(offset, length);
        return;
      default:
        if (value.length > 0) this.#number(meaning, decimal(this.#key, value));
    }
  }

  #number(meaning: Exclude<PaxMeaning, "path" | "linkPath" | "sparse name" | "sparse map">, value: number): void {
    switch (meaning) {
      case "size":
        this.attributes.size = value;
        return;
      case "star size":
        this.attributes.starSize = value;
        return;
      case "sparse size":
        this.#sparse().size = value;
        return;
      case "sparse major":
        this.#sparse().major = value;
        return;
      case "sparse minor":
        this.#sparse().minor = value;
        return;
      case "sparse offset":
        this.#segmentOffset = value;
        return;
      case "sparse length":
        if (this.#segmentOffset === undefined) throw new TarFault("a sparse file's segment has no offset");
        this.#sparse().add(this.#segmentOffset, value);
        this.#segmentOffset = undefined;
    }
  }

  #sparse(): SparseMap {
    this.attributes.sparse ??= new SparseMap();
    return this.attributes.sparse;
  }
}

type PaxMeaning =
  | "path"
  | "linkPath"
  | "size"
  | "star size"
  | "sparse name"
  | "sparse size"
  | "sparse major"
  | "sparse minor"
  | "sparse map"
  | "sparse offset"
  | "sparse length";

/** The keys that decide what an entry becomes. */
const MEANINGS: ReadonlyMap<string, PaxMeaning> = new Map([
  ["path", "path"],
  ["linkpath", "linkPath"],
  ["size", "size"],
  ["SCHILY.realsize", "star size"],
  ["GNU.sparse.name", "sparse name"],
  ["GNU.sparse.size", "sparse size"],
  ["GNU.sparse.realsize", "sparse size"],
  ["GNU.sparse.major", "sparse major"],
  ["GNU.sparse.minor", "sparse minor"],
  ["GNU.sparse.map", "sparse map"],
  ["GNU.sparse.offset", "sparse offset"],
  ["GNU.sparse.numbytes", "sparse length"],
]);

/** Reads blanks, then digits up to any other byte, like libarchive. */
function decimal(key: string, value: Uint8Array): number {
  const [, digits] = /^[ \t]*([0-9]+)/.exec(decodeUtf8(value)) ?? [];
  const number = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(number)) throw new TarFault(`the pax record ${key} is not a number`);
  return number;
}

function notARecord(): TarFault {
  return new TarFault("a pax record is not `length key=value`");
}
