import { expect, test } from "vitest";
import { ExactNumber, formatExactJson, parseExactJson, withoutByteOrderMark } from "../../src/nix/exact-json.ts";
import { expectLinear } from "../setup/processor-time.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

/** Numbers, and the form in which Nix writes them. */
const NUMBERS: readonly (readonly [text: string, written: string])[] = [
  ["0", "0"],
  ["-0", "0"],
  ["-0.0", "-0.0"],
  ["0e5", "0.0"],
  ["3", "3"],
  ["3.0", "3.0"],
  ["3.50", "3.5"],
  ["0.1", "0.1"],
  ["-12.5e1", "-125.0"],
  // The limits of integers of 64 bits. Beyond, a number is a double.
  ["18446744073709551615", "18446744073709551615"],
  ["18446744073709551616", "1.8446744073709552e+19"],
  ["-9223372036854775808", "-9223372036854775808"],
  ["-9223372036854775809", "-9.223372036854776e+18"],
  // An exponent makes a double, even of a whole number.
  ["1e2", "100.0"],
  ["1E+2", "100.0"],
  // The exponents at which the form changes.
  ["1e14", "100000000000000.0"],
  ["1e15", "1e+15"],
  ["0.0001", "0.0001"],
  ["0.00001", "1e-05"],
  ["1.25e-7", "1.25e-07"],
  ["1e300", "1e+300"],
  ["5e-324", "5e-324"],
  // The longest number whose digits stay, and one digit more.
  ["0.12345678901234567", "0.12345678901234567"],
  ["0.123456789012345678", "0.12345678901234568"],
];

test.each(NUMBERS)("the number %s is written as %s", (text, written) => {
  expect(new ExactNumber(text).text).toBe(written);
  expect(formatExactJson(parseExactJson(`[${text}]`))).toBe(`[${written}]`);
  // Nix reads the number that it wrote as the same number.
  expect(new ExactNumber(written).text).toBe(written);
});

test.each(["", "-", "01", "+1", ".5", "5.", "1e", "0x1", "1e999", "-1e999", "NaN", "Infinity", " 1"])(
  "not a number: %j",
  (text) => {
    expect(() => new ExactNumber(text)).toThrow(invalid);
  },
);

test.each([
  "",
  "{",
  "[1,]",
  "[01]",
  "[1.]",
  "[-]",
  "[--1]",
  "[1e999]",
  '{"a":1,}',
  "{1:2}",
  "[1 2]",
  '["a]',
  '["\\u00"]',
  "nul",
  '"\n"',
])("not JSON: %j", (text) => {
  expect(() => parseExactJson(text)).toThrow(invalid);
});

test("strings stay as they are, also those that look like the marks of numbers", () => {
  const texts = ["", "1", "\0", "\0\0", "\u00001", "a\0", "\\", '"', '1"2', "\ufeff", "\ud800"];
  expect(parseExactJson(JSON.stringify(texts))).toEqual(texts);
  const members = Object.fromEntries(texts.map((text) => [text, text]));
  expect(parseExactJson(JSON.stringify(members))).toEqual(members);
  // A key keeps its name if blanks come before the colon.
  expect(parseExactJson('{"\\u00001" \n\t\r : true}')).toEqual({ "\u00001": true });
});

test("other values are those of JSON.parse", () => {
  expect(parseExactJson(' {"a": [true, false, null, {}, []]} ')).toEqual({ a: [true, false, null, {}, []] });
  expect(parseExactJson("7")).toEqual(new ExactNumber("7"));
  expect(Object.keys(parseExactJson('{"__proto__": 1}') as object)).toEqual(["__proto__"]);
});

test("keys are written in the order of their UTF-8 bytes, without blanks", () => {
  const json = '{"\u{10000}": 1, "\uffff": [], "b": {}, "10": "é", "9": null, "": {"y": 1, "x": 2}}';
  expect(formatExactJson(parseExactJson(json))).toBe('{"":{"x":2,"y":1},"10":"é","9":null,"b":{},"\uffff":[],"\u{10000}":1}');
});

test("one byte order mark is removed, from the start only", () => {
  expect(withoutByteOrderMark("\ufeff{}")).toBe("{}");
  expect(withoutByteOrderMark("\ufeff\ufeff{}")).toBe("\ufeff{}");
  expect(withoutByteOrderMark("{}\ufeff")).toBe("{}\ufeff");
  expect(parseExactJson("\ufeff[]")).toEqual([]);
  expect(() => parseExactJson("\ufeff\ufeff[]")).toThrow(invalid);
});

test("a text may have a million numbers, and no more", () => {
  const numbers = (count: number) => `[${"0,".repeat(count - 1)}0]`;
  expect(parseExactJson(numbers(1_000_000))).toHaveLength(1_000_000);
  expect(() => parseExactJson(numbers(1_000_001))).toThrow(invalid);
});

test.each<[string, number, (size: number) => string]>([
  ["a string of escaped quotation marks without an end", 80_000, (size) => `["${'\\"'.repeat(size)}`],
  ["a number with many zeros in its middle", 400_000, (size) => `[0.1${"0".repeat(size)}1]`],
  ["more than 8 million values", 8_000_000, (size) => `[${"[],".repeat(size)}0]`],
  ["a number with a long run of zeros and no end", 400_000, (size) => `[1.${"0".repeat(size)}-]`],
  ["blanks behind a number", 1_000_000, (size) => `[1${" ".repeat(size)}1]`],
])("read or refused without quadratic time or memory: %s", async (_, longest, json) => {
  await expectLinear(longest, (size) => {
    try {
      parseExactJson(json(size));
    } catch (error) {
      expect(error).toEqual(invalid);
    }
  });
});
