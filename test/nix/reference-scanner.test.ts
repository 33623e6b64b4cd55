import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { encodeNixbase32, NIXBASE32_ALPHABET } from "../../src/nix/nixbase32.ts";
import { ReferenceScanner } from "../../src/nix/reference-scanner.ts";

function digest(seed: number): Uint8Array {
  return Uint8Array.from({ length: 20 }, (_, i) => (Math.imul(seed + 1, 0x9e3779b1) >>> (i % 24)) ^ (i * 37 * (seed + 3)));
}

const PARTS = Array.from({ length: 50 }, (_, i) => encodeNixbase32(digest(i)));
const [FIRST = "", SECOND = "", THIRD = ""] = PARTS;

function found(pieces: Iterable<Uint8Array>, parts: Iterable<string> = PARTS): string[] {
  const scanner = new ReferenceScanner(parts);
  for (const piece of pieces) scanner.push(piece);
  return [...scanner.found].sort();
}

function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe.each([1, 2, 31, 32, 33, 64, 100, 1_000_000])("in pieces of %i bytes", (size) => {
  test("hash parts are found at the start, at the end, between digits, and next to each other", () => {
    const text = `${FIRST}-name /nix/store/${SECOND}-other\n${"0".repeat(40)}${THIRD}${PARTS[3]}${PARTS[4]}`;
    expect(found(pieces(utf8(text), size))).toEqual(PARTS.slice(0, 5).sort());
  });

  test("hash parts that are cut short or have a different byte are not found", () => {
    const text = `${FIRST.slice(1)} ${SECOND.slice(0, 31)} ${THIRD.slice(0, 16)}e${THIRD.slice(17)} ${PARTS[3]?.toUpperCase()}`;
    expect(found(pieces(utf8(text), size))).toEqual([]);
  });

  test("in content of digits only, the scanner finds the same as a plain search", () => {
    const digits = Array.from({ length: 5000 }, (_, i) => NIXBASE32_ALPHABET[Math.imul(i * i + 7 * i, 0x9e3779b1) >>> 27]).join("");
    const parts = [17, 1000, 1001, 4968].map((at) => digits.slice(at, at + 32));
    expect(found(pieces(utf8(digits), size), [...PARTS, ...parts])).toEqual([...parts].sort());
  });
});

test("nothing is found without candidates", () => {
  expect(found([utf8(FIRST)], [])).toEqual([]);
});

test.each(["", "0", "e".repeat(32), "0".repeat(33), "é".repeat(32)])("refuses the hash part %s", (text) => {
  expect(() => new ReferenceScanner([text])).toThrow(expect.objectContaining({ code: "invalid" }));
});
