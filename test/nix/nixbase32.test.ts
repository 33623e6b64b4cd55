import { describe, expect, it } from "vitest";
import { fromHex, toHex, utf8 } from "../../src/bytes.ts";
import { decodeNixbase32, encodeNixbase32, nixbase32Length } from "../../src/nix/nixbase32.ts";

// From `nix-hash --type T --to-base32 HEX`, where T is md5, sha1, sha256 and sha512. These are
// hashes of "hello\n".
const VECTORS = [
  ["b1946ac92492d2347c6235b4d2611184", "4425hx5d1mc9y39llj4k4nm55i"],
  ["f572d396fae9206628714fb2ce00f72e94f2258f", "iwjz551fyw0cxcjgf4l6c879zabd6wpm"],
  ["5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq"],
  [
    "e7c22b994c59d9cf2b48e549b1e24666636045930d3da7c1acb299d1c3b7f931f94aae41edda2c2b207a36e10f8bcb8d45223e54878f5b316e7ce3b6bc019629",
    "0lrc0dwnvipqviibf7qfm1y492qvjwb1zhkcyi05cndmva1mr5gjcgrnz1x36djmk0sfg8djd2n0qv68vib2jg590mwznar9jcjphp7",
  ],
] as const;

describe("nixbase32", () => {
  it.each(VECTORS)("writes and reads %s as Nix does", (hex, text) => {
    expect(encodeNixbase32(fromHex(hex))).toBe(text);
    expect(toHex(decodeNixbase32(text))).toBe(hex);
  });

  it("round-trips every length", () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => 255 - i * 37);
      const text = encodeNixbase32(bytes);
      expect(text.length).toBe(nixbase32Length(length));
      expect(decodeNixbase32(text)).toEqual(bytes);
    }
  });

  it.each(["e", "o", "t", "u", "A", "-", "é", "\u0130"])("refuses the character %s", (character) => {
    expect(() => decodeNixbase32(`0${character}`)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it.each([1, 3, 6, 9, 11, 14])("refuses %i digits, which encode no whole number of bytes", (length) => {
    expect(() => decodeNixbase32("0".repeat(length))).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  it("refuses unused bits that are set", () => {
    expect(decodeNixbase32("7z")).toEqual(Uint8Array.of(255));
    expect(() => decodeNixbase32("8z")).toThrow(expect.objectContaining({ code: "invalid" }));
    expect(() => decodeNixbase32(`z${encodeNixbase32(utf8("a".repeat(32))).slice(1)}`)).toThrow(
      expect.objectContaining({ code: "invalid" }),
    );
  });
});
