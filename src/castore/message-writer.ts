import { WireType } from "@bufbuild/protobuf/wire";

/** How many bytes `value`, which is not negative, takes as a varint. */
export function varintLength(value: number | bigint): number {
  let length = 1;
  if (typeof value === "bigint" && value > Number.MAX_SAFE_INTEGER) for (let rest = value; rest > 0x7fn; rest >>= 7n) length++;
  else for (let rest = Number(value); rest > 0x7f; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/** Writes a protobuf message whose length is known before: the many small ones of a directory would cost a general writer an array each. */
export class MessageWriter {
  readonly bytes: Uint8Array;
  #at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
  }

  /** @param field below 16 */
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

  /** A field of bytes. */
  field(field: number, bytes: Uint8Array): void {
    this.tag(field, WireType.LengthDelimited);
    this.varint(bytes.length);
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}
