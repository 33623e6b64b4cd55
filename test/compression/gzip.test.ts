import { deflateRawSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8, utf8 } from "../../src/bytes.ts";
import { gzipDecoder } from "../../src/compression/gzip.ts";
import { inputOf, whole } from "./streams.ts";

const TEXT = "some text, some text, some text\n";
const gzip = (text: string) => new Uint8Array(gzipSync(text));
const MEMBER = gzip(TEXT);
const HEADER = 10;
const TRAILER = MEMBER.subarray(-8);
const DEFLATED = new Uint8Array(deflateRawSync(TEXT));

/** Flags of a header. */
const CRC_OF_HEADER = 2;
const EXTRA = 4;
const NAME = 8;
const COMMENT = 16;

const member = (flags: number, ...fields: Uint8Array[]) =>
  concatBytes([Uint8Array.of(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3), ...fields, DEFLATED, TRAILER]);
const decoded = async (bytes: Uint8Array, size = 7) => decodeUtf8(await whole(gzipDecoder()(inputOf(bytes, size))));

describe("the header of a member", () => {
  test("may have more fields", async () => {
    const extra = Uint8Array.of(3, 0, 1, 2, 3);
    const name = utf8("name\0");
    expect(await decoded(member(0))).toBe(TEXT);
    expect(await decoded(member(EXTRA | NAME | COMMENT, extra, name, utf8("a comment\0")))).toBe(TEXT);
    for (const size of [1, 7, 100]) expect(await decoded(member(EXTRA | NAME, extra, name), size)).toBe(TEXT);
  });

  test.each([
    ["another magic", [0, 0x1e]],
    ["another method", [2, 7]],
    ["a reserved flag", [3, 0x20]],
  ])("with %s is refused", async (_, [at, byte]) => {
    const bytes = MEMBER.slice();
    bytes[at as number] = byte as number;
    await expect(decoded(bytes)).rejects.toThrow();
  });

  test("with a wrong checksum of its own is refused", async () => {
    await expect(decoded(member(CRC_OF_HEADER, Uint8Array.of(0, 0)))).rejects.toThrow();
  });
});

describe("a member", () => {
  test("has a checksum and a size", async () => {
    for (const at of [-8, -5, -4, -1]) {
      const bytes = MEMBER.slice();
      const index = bytes.length + at;
      bytes[index] = (bytes[index] as number) ^ 1;
      await expect(decoded(bytes)).rejects.toThrow();
    }
  });

  test("is refused if it is cut short", async () => {
    for (let length = 0; length < MEMBER.length; length++)
      await expect(decoded(MEMBER.subarray(0, length), 1000)).rejects.toThrow("it is cut short");
  });

  test("comes in pieces of 256 KiB, whatever the pieces of the input", async () => {
    const bytes = gzip("a".repeat(600_000));
    for (const size of [50, 10_000]) {
      const lengths: number[] = [];
      for await (const { length } of gzipDecoder()(inputOf(bytes, size))) lengths.push(length);
      expect(lengths).toEqual([262_144, 262_144, 75_712]);
    }
  });

  test("of exactly one piece has no empty piece after it", async () => {
    const lengths: number[] = [];
    for await (const { length } of gzipDecoder()(inputOf(gzip("a".repeat(262_144))))) lengths.push(length);
    expect(lengths).toEqual([262_144]);
    expect(await decoded(gzip(""))).toBe("");
  });

  test("of the same input begins anew, after an error as well", async () => {
    const decode = gzipDecoder();
    const input = inputOf(concatBytes([MEMBER, gzip(""), gzip("more"), utf8("after")]), 7);
    const contents: string[] = [];
    for (let i = 0; i < 3; i++) contents.push(decodeUtf8(await whole(decode(input))));
    expect(contents).toEqual([TEXT, "", "more"]);
    await input.need(5);
    expect(input.bytes).toEqual(utf8("after"));
    await expect(whole(decode(inputOf(MEMBER.subarray(0, HEADER + 5))))).rejects.toThrow("it is cut short");
    expect(decodeUtf8(await whole(decode(inputOf(MEMBER))))).toBe(TEXT);
  });
});
