import { WireType } from "@bufbuild/protobuf/wire";

/** Number of bytes that the varint of `value` takes. `value` must not be negative. */
export function varintLength(value: number | bigint): number {
  let length = 1;
  if (typeof value === "bigint" && value > Number.MAX_SAFE_INTEGER) for (let rest = value; rest > 0x7fn; rest >>= 7n) length++;
  else for (let rest = Number(value); rest > 0x7f; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/**
 * Writes a protobuf message of known length. A general writer would allocate an array for each of
 * the many small messages in a directory.
 */
export class MessageWriter {
  readonly bytes: Uint8Array;
  #at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
  }

  /** Writes the tag of a field. @param field number below 16, so that the tag is one byte */
  tag(field: number, type: WireType): void {
    this.bytes[this.#at++] = (field << 3) | type;
  }

  varint(value: number | bigint): void {
    if (typeof value === "bigint" && value > Number.MAX_SAFE_INTEGER) {
      let rest = value;
      for (; rest > 0x7fn; rest >>= 7n) this.bytes[this.#at++] = Number(rest & 0x7fn) | 0x80;
      this.bytes[this.#at++] = Number(rest);
    } else {
      let rest = Number(value);
      for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) this.bytes[this.#at++] = (rest % 0x80) | 0x80;
      this.bytes[this.#at++] = rest;
    }
  }

  /** Writes a field of bytes with its tag and length. */
  field(field: number, bytes: Uint8Array): void {
    this.tag(field, WireType.LengthDelimited);
    this.varint(bytes.length);
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}
