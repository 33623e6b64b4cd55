import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8, viewOf } from "../../src/bytes.ts";
import { parseBlockHeader, parseInteger, parseStreamFooter, parseStreamHeader } from "../../src/compression/xz-headers.ts";

const word = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
};
const bytesOf = (...bytes: number[]) => Uint8Array.from(bytes);

describe("an integer", () => {
  test.each([
    [0, [0]],
    [1, [1]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [16_383, [0xff, 0x7f]],
    [16_384, [0x80, 0x80, 0x01]],
    [2 ** 32, [0x80, 0x80, 0x80, 0x80, 0x10]],
    [Number.MAX_SAFE_INTEGER, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])("%d is read anywhere", (value, bytes) => {
    expect(parseInteger(Uint8Array.from(bytes), 0)).toEqual({ value, length: bytes.length });
    expect(parseInteger(Uint8Array.from([0x80, 0x80, ...bytes, 0xff]), 2)).toEqual({ value, length: bytes.length });
  });

  test.each([
    ["is above 2^53 - 1", [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ["has more than nine bytes", [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ["is not in its shortest form", [0x81, 0x00]],
    ["is not the shortest zero", [0x80, 0x00]],
    ["is cut short", [0xff, 0xff]],
    ["is missing", []],
  ])("that %s is refused", (_, bytes) => {
    expect(() => parseInteger(Uint8Array.from(bytes), 0)).toThrow("a size is damaged");
  });
});

describe("the header of a stream", () => {
  const header = (...flags: [number, number]) =>
    concatBytes([bytesOf(0xfd), utf8("7zXZ\0"), bytesOf(...flags), word(crc32(bytesOf(...flags)))]);

  test("has the type of the checks", () => {
    for (const type of [0, 1, 4, 10, 15]) expect(parseStreamHeader(header(0, type), crc32)).toBe(type);
  });

  test("with unknown flags is refused", () => {
    for (const flags of [
      [1, 1],
      [0, 16],
      [0, 0x80],
      [255, 4],
    ] as [number, number][])
      expect(() => parseStreamHeader(header(...flags), crc32)).toThrow("flags");
  });

  test("is refused if any byte is another", () => {
    for (let at = 0; at < 12; at++) {
      const bytes = header(0, 4);
      bytes[at] = (bytes[at] as number) ^ 0x20;
      expect(() => parseStreamHeader(bytes, crc32)).toThrow(at < 6 ? "not an xz stream" : "a stream's header is damaged");
    }
  });
});

describe("the footer of a stream", () => {
  const footer = (size: number, ...flags: [number, number]) => {
    const content = concatBytes([word(size), bytesOf(...flags)]);
    return concatBytes([word(crc32(content)), content, utf8("YZ")]);
  };

  test("has the type of the checks, and the size of the index in words, less one", () => {
    expect(parseStreamFooter(footer(0, 0, 1), crc32)).toEqual({ check: 1, indexSize: 4 });
    expect(parseStreamFooter(footer(2 ** 32 - 1, 0, 10), crc32)).toEqual({ check: 10, indexSize: 2 ** 34 });
  });

  test("with unknown flags is refused", () => {
    expect(() => parseStreamFooter(footer(0, 1, 1), crc32)).toThrow("flags");
    expect(() => parseStreamFooter(footer(0, 0, 16), crc32)).toThrow("flags");
  });

  test("is refused if any byte is another", () => {
    for (let at = 0; at < 12; at++) {
      const bytes = footer(7, 0, 4);
      bytes[at] = (bytes[at] as number) ^ 0x20;
      expect(() => parseStreamFooter(bytes, crc32)).toThrow("a stream's end is damaged");
    }
  });
});

describe("the header of a block", () => {
  const LZMA2 = [0x21, 1, 22];
  const DELTA = [3, 1, 0];
  /** Adds the length at the start, padding and the CRC-32. */
  function header(flags: number, fields: number[], padding = 0): Uint8Array {
    const unpadded = 2 + fields.length;
    const length = 4 * Math.ceil(unpadded / 4) + 4 * padding;
    const content = new Uint8Array(length);
    content.set([length / 4, flags, ...fields]);
    return concatBytes([content, word(crc32(content))]);
  }
  const filter = (id: number, ...properties: number[]) => ({ id, properties: Uint8Array.from(properties) });
  const lzma2 = filter(0x21, 22);

  test("has filters, and sizes if the flags say so", () => {
    const none = { size: undefined, compressedSize: undefined };
    expect(parseBlockHeader(header(0, LZMA2), crc32)).toEqual({ ...none, filters: [lzma2] });
    expect(parseBlockHeader(header(0, LZMA2, 10), crc32)).toEqual({ ...none, filters: [lzma2] });
    expect(parseBlockHeader(header(0x40, [0x81, 1, ...LZMA2]), crc32)).toEqual({ ...none, compressedSize: 129, filters: [lzma2] });
    expect(parseBlockHeader(header(0x80, [5, ...LZMA2]), crc32)).toEqual({ ...none, size: 5, filters: [lzma2] });
    expect(parseBlockHeader(header(0xc0, [7, 5, ...LZMA2]), crc32)).toEqual({ compressedSize: 7, size: 5, filters: [lzma2] });
    const four = parseBlockHeader(header(3, [...DELTA, ...DELTA, 4, 0, ...LZMA2]), crc32);
    expect(four.filters).toEqual([filter(3, 0), filter(3, 0), filter(4), lzma2]);
  });

  test("with unknown flags is refused", () => {
    for (const flag of [4, 8, 0x10, 0x20]) expect(() => parseBlockHeader(header(flag, LZMA2), crc32)).toThrow("flags");
  });

  test("has no padding but zeros", () => {
    for (const padding of [[1], [0, 0, 9], [0x21, 1, 22]])
      expect(() => parseBlockHeader(header(0, [...LZMA2, ...padding]), crc32)).toThrow("flags");
  });

  test("is refused if its properties or its fields are cut short", () => {
    // Two properties fill the header. The CRC-32 is none of them.
    expect(parseBlockHeader(header(0, [0x21, 4, 1, 2, 3, 4]), crc32).filters).toEqual([filter(0x21, 1, 2, 3, 4)]);
    expect(() => parseBlockHeader(header(0, [0x21, 5, 1, 2, 3, 4]), crc32)).toThrow("a block's header is damaged");
    expect(() => parseBlockHeader(header(1, [...DELTA, 0x21, 2, 1]), crc32)).toThrow("a block's header is damaged");
    expect(() => parseBlockHeader(header(1, [0x21, 4, 1, 2, 3, 4]), crc32)).toThrow("a size is damaged");
    expect(() => parseBlockHeader(header(0x40, [0x80, 0x80]), crc32)).toThrow("a size is damaged");
  });

  test("is refused if any byte is another", () => {
    const bytes = header(0, LZMA2);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ 0x40;
      expect(() => parseBlockHeader(damaged, crc32)).toThrow("a block's header is damaged");
    }
  });
});
