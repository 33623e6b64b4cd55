import { expect, test } from "vitest";
import { frameHeaderLength, parseBlockHeader, parseFrameHeader } from "../../src/compression/zstd-frame.ts";

const frame = (...bytes: number[]) => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...bytes);

test.each([
  ["no size and a window of 1 KiB", frame(0x00, 0x00), 1024, false, undefined],
  ["a window of 1.75 MiB and a checksum", frame(0x04, (10 << 3) | 6), 1.75 * 1024 * 1024, true, undefined],
  ["a size of one byte", frame(0x20, 7), 7, false, 7n],
  ["a size of two bytes, less 256", frame(0x60, 1, 2), 0x301, false, 0x301n],
  ["a size of four bytes and a window", frame(0x80, 0x08, 1, 2, 3, 4), 2048, false, 0x04030201n],
  ["a size of eight bytes", frame(0xe0, 1, 0, 0, 0, 1, 0, 0, 0), 2 ** 32 + 1, false, 2n ** 32n + 1n],
])("a frame's header with %s is parsed", (_, header, windowSize, hasChecksum, contentSize) => {
  expect(frameHeaderLength(header.subarray(0, 5))).toBe(header.length);
  expect(parseFrameHeader(header)).toEqual({ windowSize, hasChecksum, contentSize });
});

test("frames that need more than a decoder has are refused", () => {
  expect(() => parseFrameHeader(frame(0x08, 0))).toThrow("reserved");
  expect(() => parseFrameHeader(frame(0x01, 0, 1))).toThrow("dictionary");
});

test("the headers of blocks are parsed", () => {
  const size = 0x1_0000;
  const header = (type: number, isLast: boolean, length = size) => {
    const bits = (length << 3) | (type << 1) | Number(isLast);
    return Uint8Array.of(bits, bits >> 8, bits >> 16);
  };
  expect(parseBlockHeader(header(0, false))).toEqual({ kind: "stored", isLast: false, length: size, contentSize: size });
  expect(parseBlockHeader(header(1, true))).toEqual({ kind: "run", isLast: true, length: 1, contentSize: size });
  const compressed = { kind: "compressed", isLast: true, length: size, contentSize: 2 * size };
  expect(parseBlockHeader(header(2, true))).toEqual(compressed);
  expect(() => parseBlockHeader(header(3, true))).toThrow("damaged");
  expect(() => parseBlockHeader(header(0, true, 2 * size + 1))).toThrow("too large");
});
