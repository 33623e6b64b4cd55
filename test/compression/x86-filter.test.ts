import { describe, expect, test } from "vitest";
import { concatBytes, fromHex, toHex } from "../../src/bytes.ts";
import { X86Filter } from "../../src/compression/x86-filter.ts";

/** Decodes bytes that come in pieces of some size. */
function decode(hex: string, { start = 0, size = 1000 } = {}): string {
  const filter = new X86Filter();
  const bytes = fromHex(hex);
  const done: Uint8Array[] = [];
  let rest = new Uint8Array(0);
  let position = start;
  for (let at = 0; at < bytes.length; at += size) {
    const all = concatBytes([rest, bytes.subarray(at, at + size)]);
    const length = filter.decode(all, position);
    position = (position + length) % 2 ** 32;
    done.push(all.slice(0, length));
    rest = all.slice(length);
  }
  return toHex(concatBytes([...done, rest]));
}

// liblzma 5.4 encoded these.
const CALLS: [string, encoded: string, decoded: string][] = [
  ["a call forward", "e80a00000090909090", "e80500000090909090"],
  ["a jump back", "90909090909090909090909090909090e905000000909090", "90909090909090909090909090909090e9f0ffffff909090"],
  ["a distance above 16 MiB, which stays", "e80000000190909090", "e80000000190909090"],
  ["an opcode as a distance's highest byte", "90e8000000e80a00000000", "90e8000000e80000000000"],
  ["an opcode within a call", "e805e90000e90a0000009090", "e800e90000e9000000009090"],
  ["calls one after another", "e805000000e80a000000e80f000000e814000000", "e800000000e800000000e800000000e800000000"],
  ["an opcode one byte before, which stays", "e8e816002200909090", "e8e810002200909090"],
  ["an opcode two bytes before, which stays", "e811e8172200009090", "e811e8102200009090"],
  ["an opcode three bytes before, which stays", "e81111e82a0000009090", "e81111e8220000009090"],
  ["an opcode four bytes before, which stays", "e8111111e82b0000009090", "e8111111e8220000009090"],
  ["two opcodes before, after which none is sure", "e8e8e81022330090909090", "e8e8e81022330090909090"],
  ["a target that another opcode would take for its own", "e8e800000100909090", "e8e8fffffe00909090"],
];

describe("the distance of", () => {
  test.each(CALLS)("%s", (_, encoded, decoded) => {
    for (const size of [1, 2, 3, 1000]) expect(decode(encoded, { size })).toBe(decoded);
  });
});

test("positions begin anywhere, and wrap at 2^32", () => {
  expect(decode("e80a100000", { start: 0x1000 })).toBe("e805000000");
  expect(decode("e80af0ffff", { start: 2 ** 32 - 0x1000 })).toBe("e805000000");
});

test("four bytes are too few for a call, and wait for more", () => {
  const filter = new X86Filter();
  expect(filter.decode(fromHex("90e80a0000"), 0)).toBe(1);
  expect(filter.decode(fromHex("e80a0000"), 1)).toBe(0);
  const whole = fromHex("e80b000000");
  expect(filter.decode(whole, 1)).toBe(5);
  expect(toHex(whole)).toBe("e805000000");
});
