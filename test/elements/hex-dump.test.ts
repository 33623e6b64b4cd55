import { expect, test } from "vitest";
import { hexDump } from "../../src/elements/hex-dump.ts";

test("a line has the offset, sixteen bytes in two groups, and the printable ones as text", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => 0x78 + i);
  expect(hexDump(bytes, 0)).toBe("00000000  78 79 7a 7b 7c 7d 7e 7f  80 81 82 83 84 85 86 87  xyz{|}~.........");
});

test("a short last line is as wide as the others", () => {
  const lines = hexDump(new Uint8Array(17).fill(0x41), 0x1000).split("\n");
  expect(lines.map((line) => line.slice(0, 13))).toEqual(["00001000  41 ", "00001010  41 "]);
  expect(lines.map((line) => line.indexOf("A"))).toEqual([60, 60]);
});

test("offsets beyond 4 GiB have twelve digits", () => {
  expect(hexDump(new Uint8Array(1), 0xffffffff).slice(0, 14)).toBe("0000ffffffff  ");
  expect(hexDump(new Uint8Array(1), 0xfffffffe).slice(0, 10)).toBe("fffffffe  ");
});

test("no bytes give no line", () => {
  expect(hexDump(new Uint8Array(0), 0)).toBe("");
});
