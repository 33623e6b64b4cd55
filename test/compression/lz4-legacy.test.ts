import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8, utf8, viewOf } from "../../src/bytes.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { LEGACY_BLOCK, legacyBlocks } from "../../src/compression/lz4-legacy.ts";
import { pieces } from "../setup/pieces.ts";
import { inputOf, ONE, sample, TWO, whole } from "./streams.ts";

const found = async (bytes: Uint8Array) => decodeUtf8(await whole(decompressed(pieces(bytes, 1000))));
const refused = (bytes: Uint8Array) =>
  expect(whole(decompressedAs(pieces(bytes, 1000), "lz4"))).rejects.toMatchObject({ code: "invalid" });

test.each([
  ["legacy.lz4", ONE],
  ["mixed.lz4", ONE + TWO + ONE + TWO],
])("%s is read, in pieces of any size", async (name, content) => {
  const bytes = await sample(name);
  for (const size of [1, 7, bytes.length]) expect(decodeUtf8(await whole(decompressed(pieces(bytes, size))))).toBe(content);
});

describe("a legacy frame of lz4", () => {
  test("has several blocks", async () => {
    const content = await whole(decompressed(pieces(await sample("blocks-legacy.lz4"), 1000)));
    expect(content.length).toBe(8 * 1024 * 1024 + 10);
    expect(content.every((byte) => byte === 0)).toBe(true);
  });

  test("may be followed by zeros, and by another frame after them", async () => {
    const [legacy, two] = [await sample("legacy.lz4"), await sample("lz4.two")];
    for (const count of [1, 2, 3, 4, 5, 512])
      for (const [after, content] of [
        [new Uint8Array(0), ONE],
        [two, ONE + TWO],
        [legacy, ONE + ONE],
      ] as const)
        expect(await found(concatBytes([legacy, new Uint8Array(count), after]))).toBe(content);
  });

  test("is refused when it is cut short, or with something else after it", async () => {
    const bytes = await sample("legacy.lz4");
    for (const length of [bytes.length - 1, bytes.length - 100, 9, 7]) await refused(bytes.subarray(0, length));
    for (const after of ["\n", "something else"]) await refused(concatBytes([bytes, utf8(after)]));
  });

  /** The largest length of a block. A larger number belongs to the next frame. */
  const LONGEST = LEGACY_BLOCK + 32_896 + 16;

  test("has blocks up to the length that 8 MiB can have", async () => {
    const start = (length: number) => {
      const bytes = new Uint8Array(5);
      viewOf(bytes).setUint32(0, length, true);
      return bytes;
    };
    const read = (length: number) => whole(legacyBlocks(inputOf(start(length)), new Uint8Array(LEGACY_BLOCK)));
    await expect(read(LONGEST)).rejects.toThrow("cut short");
    for (const length of [LONGEST + 1, 0x184d2204, 0]) expect((await read(length)).length).toBe(0);
  });

  test("has blocks whose content is at most 8 MiB, and refers to its own block only", async () => {
    const block = (...bytes: number[]) => Uint8Array.from([bytes.length, bytes.length >> 8, bytes.length >> 16, 0, ...bytes]);
    // A literal and a match. Then five literals end the block.
    const full = (last: number) => block(0x1f, 7, 1, 0, ...Array<number>(32_896).fill(255), last, 0x50, 1, 2, 3, 4, 5);
    const buffer = new Uint8Array(LEGACY_BLOCK + 1000);
    const fill = LEGACY_BLOCK - 1 - 4 - 15 - 255 * 32_896 - 5;
    const lengths: number[] = [];
    for await (const { length } of legacyBlocks(inputOf(concatBytes([full(fill), block(0x10, 9)])), buffer)) lengths.push(length);
    expect(lengths).toEqual([LEGACY_BLOCK, 1]);
    await expect(whole(legacyBlocks(inputOf(full(fill + 1)), buffer))).rejects.toThrow("damaged");
    const earlier = concatBytes([block(0x40, 1, 2, 3, 4), block(0x00, 1, 0, 0x00)]);
    await expect(whole(legacyBlocks(inputOf(earlier), buffer))).rejects.toThrow("damaged");
  });
});
