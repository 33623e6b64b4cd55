import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8, utf8, viewOf } from "../../src/bytes.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { decodeLzma, isLzmaHeader, parseLzmaProperties, unlzma } from "../../src/compression/lzma.ts";
import { LzmaMemory } from "../../src/compression/lzma-memory.ts";
import { pieces } from "../setup/pieces.ts";
import { inputOf, ONE, sample, whole } from "./streams.ts";

const UNKNOWN = 2n ** 64n - 1n;

function header(properties: number, dictionarySize: number, size: bigint): Uint8Array {
  const bytes = new Uint8Array(13);
  const view = viewOf(bytes);
  view.setUint8(0, properties);
  view.setUint32(1, dictionarySize, true);
  view.setBigUint64(5, size, true);
  return bytes;
}

test.each([
  [93, { lc: 3, lp: 0, pb: 2 }],
  [0, { lc: 0, lp: 0, pb: 0 }],
  [4, { lc: 4, lp: 0, pb: 0 }],
  [4 * 9, { lc: 0, lp: 4, pb: 0 }],
  [4 * 45 + 2 * 9 + 2, { lc: 2, lp: 2, pb: 4 }],
  // lc + lp = 5, and pb = 5.
  [5, undefined],
  [9 + 4, undefined],
  [4 * 9 + 1, undefined],
  [225, undefined],
  [255, undefined],
])("the properties %d are %o", (byte, properties) => {
  expect(parseLzmaProperties(byte)).toEqual(properties);
});

describe("a header is recognised", () => {
  test("by its properties and a round size of the dictionary", () => {
    for (const size of [4096, 6144, 65_536, 3 << 20, 2 ** 31, 2048])
      expect([size, isLzmaHeader(header(93, size, UNKNOWN))]).toEqual([size, true]);
    for (const size of [0, 1, 1024, 1536, 4097, 5 << 20, 2 ** 32 - 1])
      expect([size, isLzmaHeader(header(93, size, UNKNOWN))]).toEqual([size, false]);
    expect(isLzmaHeader(header(225, 4096, UNKNOWN))).toBe(false);
  });

  test("by a size that is unknown or believable", () => {
    for (const size of [UNKNOWN, 0n, 1n, 2n ** 40n - 1n]) expect(isLzmaHeader(header(93, 4096, size))).toBe(true);
    for (const size of [UNKNOWN - 1n, 2n ** 40n]) expect(isLzmaHeader(header(93, 4096, size))).toBe(false);
  });

  test("only as a whole", () => {
    const bytes = header(93, 4096, 5n);
    expect(isLzmaHeader(bytes.subarray(0, 12))).toBe(false);
    expect(isLzmaHeader(concatBytes([bytes, bytes]).subarray(13))).toBe(true);
  });
});

describe("a file", () => {
  test.each(["lc-4-lp-0-pb-0.lzma", "lc-1-lp-2-pb-3.lzma", "lc-0-lp-4-pb-4.lzma", "lc-0-lp-0-pb-0-dict-96MiB.lzma"])(
    "%s is recognised and read, in pieces of any size",
    async (name) => {
      const bytes = await sample(name);
      for (const size of [1, 7, bytes.length]) expect(decodeUtf8(await whole(decompressed(pieces(bytes, size))))).toBe(ONE);
    },
  );

  test.each(["lzma.one", "lc-4-lp-0-pb-0.lzma"])("%s is refused if the range coder's first byte is not zero", async (name) => {
    const bytes = await sample(name);
    bytes[13] = 1;
    await expect(whole(decompressedAs(pieces(bytes, 100), "lzma"))).rejects.toMatchObject({ code: "invalid" });
  });

  const read = (bytes: Uint8Array) => whole(unlzma(inputOf(bytes, 100)));

  test("is refused with properties that no stream has, or without a dictionary", async () => {
    const bytes = await sample("lzma.one");
    for (const wrong of [header(225, 4096, UNKNOWN), header(93, 0, UNKNOWN), new Uint8Array(13)])
      await expect(read(concatBytes([wrong, bytes.subarray(13)]))).rejects.toThrow("properties that no lzma stream has");
  });

  test("has a size up to 2^53 - 1, or an unknown one", async () => {
    const stream = (await sample("lzma.one")).subarray(13);
    expect(decodeUtf8(await read(concatBytes([header(93, 4096, UNKNOWN), stream])))).toBe(ONE);
    expect(decodeUtf8(await read(concatBytes([header(93, 4096, BigInt(ONE.length)), stream])))).toBe(ONE);
    await expect(read(concatBytes([header(93, 4096, 2n ** 53n - 1n), stream]))).rejects.toThrow("less content");
    for (const size of [2n ** 53n, UNKNOWN - 1n])
      await expect(read(concatBytes([header(93, 4096, size), stream]))).rejects.toThrow("a size that is too large");
  });

  test("has a dictionary of at most 128 MiB", async () => {
    const stream = (await sample("lzma.one")).subarray(13);
    expect(decodeUtf8(await read(concatBytes([header(93, 128 << 20, UNKNOWN), stream])))).toBe(ONE);
    await expect(read(concatBytes([header(93, (128 << 20) + 1, UNKNOWN), stream]))).rejects.toThrow("the limit is 134217728");
  });

  test("is refused if it is cut short", async () => {
    const bytes = await sample("lzma.one");
    for (const length of [0, 12, 13, 17, 18, 100, bytes.length - 1])
      await expect(read(bytes.subarray(0, length))).rejects.toThrow(/cut short|damaged/);
  });
});

test("streams that share a decoder don't see each other's content", async () => {
  const memory = new LzmaMemory();
  const bytes = (await sample("lzma.one")).subarray(13);
  const input = inputOf(concatBytes([bytes, bytes, utf8("after")]), 100);
  for (const dictionarySize of [1 << 20, 4096])
    expect(decodeUtf8(await whole(decodeLzma(input, memory, { properties: { lc: 3, lp: 0, pb: 2 }, dictionarySize })))).toBe(ONE);
  await input.has(5);
  expect(decodeUtf8(input.bytes)).toBe("after");
});
