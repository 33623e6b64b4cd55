import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8 } from "../../src/bytes.ts";
import { lzipDecoder } from "../../src/compression/lzip.ts";
import { inputOf, ONE, sample, TWO, whole } from "./streams.ts";

const one = await sample("lzip.one");
/** Offset of the byte with the dictionary's size. */
const DICTIONARY = 5;
/** Offsets in the trailer, from the end: CRC-32, size of the content, size of the member. */
const CRC = 20;
const SIZE = 16;
const MEMBER_SIZE = 8;

const decoded = async (bytes: Uint8Array) => decodeUtf8(await whole(lzipDecoder()(inputOf(bytes, 50))));

/** The member with another byte at an offset, from the end if it is negative. */
function changed(at: number, byte: (old: number) => number): Uint8Array {
  const bytes = one.slice();
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = byte(bytes[index] as number);
  return bytes;
}

test("each call reads one member", async () => {
  const decode = lzipDecoder();
  const input = inputOf(concatBytes([one, await sample("lzip.nothing"), await sample("lzip.two")]), 50);
  const contents: string[] = [];
  for (let i = 0; i < 3; i++) contents.push(decodeUtf8(await whole(decode(input))));
  expect(contents).toEqual([ONE, "", TWO]);
  expect(await input.has(1)).toBe(false);
});

describe("a member is refused", () => {
  test.each([
    ["another magic", changed(0, () => 0x6c), "not an lzip member"],
    ["version 0", changed(4, () => 0), "not an lzip member"],
    ["version 2", changed(4, () => 2), "not an lzip member"],
    ["another CRC-32", changed(-CRC, (old) => old ^ 1), "the checksum of a member"],
    ["another CRC-32 in its last byte", changed(-CRC + 3, (old) => old ^ 0x80), "the checksum of a member"],
    ["another size of the content", changed(-SIZE, (old) => old + 1), "the size of a member"],
    ["a size of the content above 4 GiB", changed(-SIZE + 4, () => 1), "the size of a member"],
    ["another size of the member", changed(-MEMBER_SIZE, (old) => old + 1), "the size of a member"],
    ["a size of the member above 4 GiB", changed(-1, () => 1), "the size of a member"],
  ])("with %s", async (_, bytes, message) => {
    await expect(decoded(bytes)).rejects.toThrow(message);
  });

  test("if it is cut short", async () => {
    for (const length of [0, 5, 6, 10, 11, 100, one.length - 20, one.length - 1])
      await expect(decoded(one.subarray(0, length))).rejects.toThrow(/cut short|damaged/);
  });
});

describe("the size of the dictionary", () => {
  const withDictionary = (coded: number) => decoded(changed(DICTIONARY, () => coded));

  test("is 4 KiB to 128 MiB, less some sixteenths", async () => {
    // 2^27; 2^28 less 7 sixteenths is more than 128 MiB.
    for (const coded of [12, 20, (7 << 5) | 27, 27]) expect(await withDictionary(coded)).toBe(ONE);
    await expect(withDictionary(28)).rejects.toThrow("it needs 268435456 bytes of memory");
    await expect(withDictionary((7 << 5) | 28)).rejects.toThrow("it needs 150994944 bytes of memory");
    await expect(withDictionary(29)).rejects.toThrow("it needs 536870912 bytes of memory");
  });

  test("is refused if no version has it", async () => {
    for (const coded of [0, 11, 30, 31, (1 << 5) | 11])
      await expect(withDictionary(coded)).rejects.toThrow("an invalid dictionary size");
  });
});
