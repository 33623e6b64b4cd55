import { describe, expect, test } from "vitest";
import { fseTable, readFseTable, singleTable } from "../../src/compression/zstd-fse.ts";
import { describeFse } from "./fse-description.ts";

const DAMAGED = "a block is damaged";

test("the predefined table of literal lengths is that of RFC 8878, appendix A", () => {
  const counts = [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1];
  const { log, symbols, bits, bases } = fseTable(counts, 6);
  expect(log).toBe(6);
  const rows = Array.from(symbols, (symbol, state) => [symbol, bits[state], bases[state]]);
  expect(rows.slice(0, 12)).toEqual([
    [0, 4, 0],
    [0, 4, 16],
    [1, 5, 32],
    [3, 5, 0],
    [4, 5, 0],
    [6, 5, 0],
    [7, 5, 0],
    [9, 5, 0],
    [10, 5, 0],
    [12, 5, 0],
    [14, 6, 0],
    [16, 5, 0],
  ]);
  // The symbols that are less likely than one state have the last states.
  expect(rows.slice(-4)).toEqual([
    [35, 6, 0],
    [34, 6, 0],
    [33, 6, 0],
    [32, 6, 0],
  ]);
});

test("a table of one symbol has one state, which takes no bits", () => {
  expect(singleTable(7)).toEqual({ log: 0, symbols: Uint8Array.of(7), bits: Uint8Array.of(0), bases: Uint16Array.of(0) });
});

test("counts that leave states without a symbol are refused", () => {
  expect(() => fseTable([16, 15], 5)).toThrow(DAMAGED);
});

describe("a description", () => {
  test.each([
    ["two symbols", [31, 1], 5],
    ["rare symbols", [-1, 30, -1], 5],
    ["one zero", [16, 0, 16], 5],
    ["two zeros", [16, 0, 0, 16], 5],
    ["three zeros", [16, 0, 0, 0, 16], 5],
    ["four zeros", [16, 0, 0, 0, 0, 16], 5],
    ["seven zeros at the start", [0, 0, 0, 0, 0, 0, 0, 20, 12], 5],
    ["one symbol that has all states", [0, 32], 5],
    ["512 states", [100, 200, 50, 50, 100, 12], 9],
  ])("of %s is read", (_, counts, log) => {
    const bytes = describeFse(counts, log);
    for (const after of [0, 1, 5]) {
      const longer = new Uint8Array(bytes.length + after).fill(0xff);
      longer.set(bytes);
      expect(readFseTable(longer, log, counts.length - 1)).toEqual([fseTable(counts, log), bytes.length]);
    }
  });

  const bytes = describeFse([16, 0, 0, 8, 8], 6 - 1);

  test("of more states than allowed is refused", () => {
    expect(readFseTable(describeFse([64], 6), 6, 5)[0].log).toBe(6);
    expect(() => readFseTable(describeFse([128], 7), 6, 5)).toThrow(DAMAGED);
  });

  test("of more symbols than allowed is refused", () => {
    expect(readFseTable(bytes, 5, 4)[0].symbols.length).toBe(32);
    for (const maxSymbol of [3, 2, 1, 0]) expect(() => readFseTable(bytes, 5, maxSymbol)).toThrow(DAMAGED);
  });

  test("that is cut short is refused", () => {
    for (let length = 0; length < bytes.length; length++)
      expect(() => readFseTable(bytes.subarray(0, length), 5, 4)).toThrow(DAMAGED);
  });

  test("whose zeros never end is refused", () => {
    // A count of 0, then three more zeros and again three.
    const endless = new Uint8Array(100).fill(0xff);
    endless.set([0x10, 0xfe]);
    expect(() => readFseTable(endless, 5, 255)).toThrow(DAMAGED);
  });
});
