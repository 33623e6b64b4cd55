import { describe, expect, test } from "vitest";
import {
  compareBytes,
  concatBytes,
  decodeUtf8,
  decodeUtf8Strict,
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  ownBytes,
  quote,
  quoteBytes,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  viewOf,
} from "../src/bytes.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

test("bytes are compared one by one, and a prefix comes first", () => {
  const sorted = [[], [0], [0, 0], [0, 255], [1], [127], [128], [255], [255, 0]].map((bytes) => Uint8Array.from(bytes));
  for (const [i, a] of sorted.entries()) {
    for (const [k, b] of sorted.entries()) {
      expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(i - k));
      expect(equalBytes(a, b)).toBe(i === k);
    }
  }
});

test("parts are copied into a buffer of their own", () => {
  const part = Uint8Array.of(1, 2);
  const joined = concatBytes([part, new Uint8Array(0), part.subarray(1)]);
  part.fill(0);
  expect(joined).toEqual(Uint8Array.of(1, 2, 2));
  expect(concatBytes([])).toEqual(new Uint8Array(0));
});

test("a view has only the bytes of its array", () => {
  const view = viewOf(Uint8Array.of(9, 1, 2, 9).subarray(1, 3));
  expect([view.byteLength, view.getUint16(0)]).toEqual([2, 0x0102]);
});

describe("UTF-8", () => {
  test("keeps a byte order mark", () => {
    for (const decode of [decodeUtf8, decodeUtf8Strict]) expect(decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
  });

  test.each([[[0xff]], [[0xc3]], [[0xed, 0xa0, 0x80]], [[0xc0, 0x80]], [[0xf4, 0x90, 0x80, 0x80]]])(
    "that is broken is decoded only for display: %j",
    (bytes) => {
      expect(decodeUtf8Strict(Uint8Array.from(bytes))).toBeUndefined();
      expect(decodeUtf8(Uint8Array.from(bytes))).toContain("\ufffd");
    },
  );
});

describe("hexadecimal", () => {
  test("is written in lower case, and read in either case", () => {
    expect(toHex(Uint8Array.of(0, 15, 16, 255))).toBe("000f10ff");
    expect(fromHex("000f10fF")).toEqual(Uint8Array.of(0, 15, 16, 255));
    expect(fromHex("")).toEqual(new Uint8Array(0));
  });

  test.each(["0", "000", "0g", " 00", "00\n", "0x00", "-1", "+1", "1.", "١١"])("is not %j", (text) => {
    expect(() => fromHex(text)).toThrow(invalid);
  });
});

describe("base64", () => {
  test("agrees with Node's, for each length of the last group", () => {
    for (let length = 0; length < 30; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length * 101) & 255);
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
      expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
      expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
    }
  });

  test("is written in parts that fit on the stack", () => {
    const bytes = new Uint8Array(1_000_001).fill(0xa5);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
  });

  test.each([
    "A",
    "AA",
    "AAA",
    "AA=",
    "A===",
    "====",
    "=AAA",
    "AB==",
    "AAB=",
    "AA==AAAA",
    "A A=",
    "AAAA\n",
    "AA-_",
    "AAA\u0100",
    "AAAé",
  ])("is not %j", (text) => {
    expect(() => fromBase64(text)).toThrow(invalid);
  });

  test.each(["A", "AB", "AAB", "AA==", "AA+/", "A A", "AA\n", "AAAAA"])("for URLs is not %j", (text) => {
    expect(() => fromBase64Url(text)).toThrow(invalid);
  });
});

test("a text is quoted, and cut after 120 characters", () => {
  expect(quote('a"\n\0')).toBe('"a\\"\\n\\u0000"');
  expect(quote("x".repeat(120))).toBe(`"${"x".repeat(120)}"`);
  expect(quote("x".repeat(121))).toBe(`"${"x".repeat(117)}..."`);
  expect(quoteBytes(utf8("é".repeat(1_000_000)))).toBe(`"${"é".repeat(117)}..."`);
  expect(quoteBytes(Uint8Array.of(0x61, 0xff))).toBe('"a\ufffd"');
});

test("bytes that fill their buffer are returned without a copy, and all others in a buffer of their own", () => {
  const whole = Uint8Array.of(1, 2, 3);
  expect(ownBytes([whole]).buffer).toBe(whole.buffer);
  for (const parts of [[whole.subarray(1)], [whole, whole.subarray(0, 1)], [whole.subarray(0, 0)], []]) {
    const own = ownBytes(parts);
    expect([...own]).toEqual(parts.flatMap((part) => [...part]));
    expect(own.buffer.byteLength).toBe(own.length);
    expect(own.buffer).not.toBe(whole.buffer);
  }
});
