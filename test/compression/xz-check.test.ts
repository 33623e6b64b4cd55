import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fromHex, utf8, viewOf } from "../../src/bytes.ts";
import { beginCheck, headerCrc32 } from "../../src/compression/xz-check.ts";
import { inputOf, sample, whole } from "./streams.ts";

const TEXT = utf8("123456789");

describe("the check of", () => {
  const littleEndian = new Uint8Array(4);
  viewOf(littleEndian).setUint32(0, crc32(TEXT), true);

  test.each([
    ["CRC-32", 1, littleEndian],
    // The check value of CRC-64/XZ is 995dc9bbdf1939fa.
    ["CRC-64", 4, fromHex("995dc9bbdf1939fa").reverse()],
    ["SHA-256", 10, new Uint8Array(createHash("sha256").update(TEXT).digest())],
  ])("%s is that of the content in all its pieces", async (_, type, expected) => {
    const begun = async (...content: Uint8Array[]) => {
      const check = await beginCheck(type);
      for (const bytes of content) check.update(bytes);
      return check;
    };
    expect((await begun()).length).toBe(expected.length);
    expect((await begun(TEXT)).is(expected)).toBe(true);
    expect((await begun(TEXT.subarray(0, 4), TEXT.subarray(4))).is(expected)).toBe(true);
    for (const content of [TEXT.subarray(1), utf8("1234567890"), new Uint8Array(0)])
      expect((await begun(content)).is(expected)).toBe(false);
    expect((await begun(TEXT)).is(expected.subarray(1))).toBe(false);
    // Inputs that are read at the same time share a hasher.
    const [one, other] = [await begun(TEXT.subarray(0, 4)), await begun(utf8("other"))];
    one.update(TEXT.subarray(4));
    other.update(utf8(" content"));
    expect([one.is(expected), other.is(expected), one.is(expected)]).toEqual([true, false, true]);
  });

  test("nothing has no bytes", async () => {
    const check = await beginCheck(0);
    check.update(TEXT);
    expect([check.length, check.is(new Uint8Array(0))]).toEqual([0, true]);
  });

  test.each([2, 3, 5, 9, 11, 15])("the type %d is refused", async (type) => {
    await expect(beginCheck(type)).rejects.toThrow(`the check ${type}`);
  });
});

test("the CRC-32 of headers is that of zlib", async () => {
  const headerCrc = await headerCrc32();
  for (const bytes of [TEXT, new Uint8Array(0)]) expect(headerCrc(bytes)).toBe(crc32(bytes));
});

describe("a hash that can't be loaded", () => {
  beforeEach(() => vi.resetModules());
  afterEach(() => vi.restoreAllMocks());

  // The hash for headers and the index, and that for content.
  test.each([0, 1])("is loaded again at the next use (%i)", async (works) => {
    const { xzDecoder } = await import("../../src/compression/xz.ts");
    const bytes = await sample("xz.one");
    const read = () => whole(xzDecoder()(inputOf(bytes)));
    const real = WebAssembly.instantiate;
    const instantiate = vi.spyOn(WebAssembly, "instantiate");
    for (let i = 0; i < works; i++) instantiate.mockImplementationOnce(real);
    instantiate.mockRejectedValueOnce(new RangeError("out of memory"));
    await expect(read()).rejects.toMatchObject({ code: "unavailable" });
    expect((await read()).length).toBe(492);
    const before = instantiate.mock.calls.length;
    expect((await read()).length).toBe(492);
    // All inputs share the hashes.
    expect(instantiate.mock.calls.length - before).toBe(0);
  });
});
