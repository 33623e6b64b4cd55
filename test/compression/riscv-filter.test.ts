import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.ts";
import { RiscvFilter } from "../../src/compression/riscv-filter.ts";

/** Decodes an instruction, with zeros up to the eight bytes that the filter looks at. */
function decode(hex: string, position = 0): [done: number, hex: string] {
  const bytes = fromHex(hex.padEnd(16, "0"));
  const done = new RiscvFilter().decode(bytes, position);
  return [done, toHex(bytes.subarray(0, hex.length / 2))];
}

describe("a JAL", () => {
  // The target is 0x100. The distance 0xf0 makes the word 0x0f0000ef.
  test("that writes x1 or x5 has its distance", () => {
    expect(decode("ef000080", 0x10)).toEqual([4, "ef00000f"]);
    expect(decode("ef020080", 0x10)).toEqual([4, "ef02000f"]);
  });

  test("has 21 bits of distance in the processor's order", () => {
    // The distance is -2: all its bits are set but the lowest.
    expect(decode("ef000000", 2)[1]).toBe("eff0ffff");
    // The distance 0x800 is bit 11 of the distance, which is bit 20 of the word.
    expect(decode("ef000400", 0)[1]).toBe("ef001000");
    // 0x1000 is bit 12, which is bit 12 of the word. 0x100000 is bit 20, the sign, which is bit 31.
    expect(decode("ef000800", 0)[1]).toBe("ef100000");
    expect(decode("ef800000", 0)[1]).toBe("ef000080");
  });

  test("that writes another register stays as it is", () => {
    for (const second of ["04", "08", "01", "0d"]) expect(decode(`ef${second}0080`, 0x10)).toEqual([2, `ef${second}0080`]);
  });
});

describe("an AUIPC", () => {
  // AUIPC a0, then JALR through a0.
  test("that was changed with its pair gets its distance back", () => {
    expect(decode("17710e5012345678", 0)).toEqual([8, "17553412e7008567"]);
    expect(decode("17710e5012345678", 0x10)).toEqual([8, "17553412e7008566"]);
    // The lower 12 bits have a sign.
    expect(decode("17710e5012345900", 0)).toEqual([8, "17653412e7000590"]);
  });

  test("whose pair would have looked changed gets its halves back", () => {
    expect(decode("17553412e7008567")).toEqual([8, "17710e5078563412"]);
  });

  test("stays as it is if the next instruction doesn't use its register, or is no pair", () => {
    // JALR through a1; a compressed instruction.
    for (const next of ["e7808567", "e4008567"]) expect(decode(`17553412${next}`)).toEqual([6, `17553412${next}`]);
    // AUIPC x0, and AUIPC x2 with a register that no encoder writes.
    for (const first of ["17003412", "17710e10", "17710e00"]) expect(decode(`${first}12345678`)).toEqual([4, `${first}12345678`]);
  });
});

test("instructions begin at even bytes, and the last six bytes wait for more", () => {
  const bytes = fromHex("0100ef000080000000000000");
  // The last position is the first one at which fewer than eight bytes follow.
  expect(new RiscvFilter().decode(bytes, 0x0e)).toBe(6);
  expect(toHex(bytes)).toBe("0100ef00000f000000000000");
  expect(new RiscvFilter().decode(fromHex("ef000080000000"), 0)).toBe(0);
  expect(new RiscvFilter().decode(new Uint8Array(0), 0)).toBe(0);
});
