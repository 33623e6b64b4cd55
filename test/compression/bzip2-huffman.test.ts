import { describe, expect, test } from "vitest";
import { BitReader } from "../../src/compression/bit-reader.ts";
import { Bzip2Code } from "../../src/compression/bzip2-huffman.ts";
import { type Field, packHighFirst } from "./bits.ts";

function reader(fields: Field[]): BitReader {
  const bits = new BitReader();
  bits.supply(packHighFirst(fields), 0);
  return bits;
}

/** The symbols that a code reads from these bits. */
function symbols(lengths: number[], fields: Field[], count = fields.length): number[] {
  const code = new Bzip2Code(Uint8Array.from(lengths));
  const bits = reader(fields);
  return Array.from({ length: count }, () => code.symbol(bits));
}

describe("a code", () => {
  test("orders symbols by length, and by number within a length", () => {
    expect(
      symbols(
        [2, 3, 1, 3],
        [
          [0b0, 1],
          [0b10, 2],
          [0b110, 3],
          [0b111, 3],
        ],
      ),
    ).toEqual([2, 0, 1, 3]);
  });

  test("has short codes, which are looked up, and others of up to 20 bits", () => {
    // One code of each length, and a second one of 20 bits.
    const lengths = [...Array.from({ length: 20 }, (_, i) => i + 1), 20];
    const fields = lengths.map((length, i): Field => [i === 20 ? 2 ** 20 - 1 : 2 ** length - 2, length]);
    expect(symbols(lengths, fields)).toEqual(lengths.map((_, i) => i));
    expect(symbols(lengths, fields.toReversed())).toEqual(lengths.map((_, i) => 20 - i));
  });

  test("is refused where no symbol has it", () => {
    const lengths = [1, 3, 12];
    // 0, 100 and 101000000000 are codes.
    expect(symbols(lengths, [[0b101000000000, 12]])).toEqual([2]);
    for (const bits of [0b101000000001, 0b110000000000, 0b111111111111])
      expect(() => symbols(lengths, [[bits, 12]])).toThrow("it is damaged");
  });

  test("with more codes than there are is not read beyond its symbols", () => {
    // Three codes of one bit, and one of 12: the third has no bits.
    for (const lengths of [
      [1, 1, 1],
      [1, 1, 1, 12],
    ]) {
      expect(symbols(lengths, [[0, 1]])).toEqual([0]);
      expect(symbols(lengths, [[1, 1]])).toEqual([1]);
    }
    // 2048 codes of 11 bits fill it. The lengths of damaged data may be longer.
    expect(symbols(Array<number>(258).fill(1), [[1, 1]])).toEqual([1]);
  });

  test("is cut short if its last bits are missing", () => {
    expect(() => symbols([1, 9, 9], [[0xff, 8]])).toThrow(/cut short|damaged/);
    expect(() => symbols(Array<number>(256).fill(9), [[0xff >> 1, 8]])).toThrow("it is cut short");
  });
});

describe("the lengths of codes", () => {
  /** Differences of a length from the one before. */
  const differences = (...by: number[]): Field[] =>
    by.flatMap((difference) => [
      ...Array<Field>(Math.abs(difference)).fill(difference > 0 ? [0b10, 2] : [0b11, 2]),
      [0, 1] as Field,
    ]);

  test("are the differences of each from the one before", () => {
    const bits = reader([[2, 5], ...differences(0, 1, -2, 2), [0b0, 1], [0b10, 2], [0b110, 3], [0b111, 3]]);
    const code = Bzip2Code.read(bits, 4);
    expect([1, 2, 3, 4].map(() => code.symbol(bits))).toEqual([2, 0, 1, 3]);
  });

  test("are 1 to 20", () => {
    for (const length of [1, 20]) expect(Bzip2Code.read(reader([[length, 5], ...differences(0, 0)]), 2)).toBeInstanceOf(Bzip2Code);
    for (const length of [0, 21, 31])
      expect(() => Bzip2Code.read(reader([[length, 5], ...differences(0, 0)]), 2)).toThrow("it is damaged");
    expect(Bzip2Code.read(reader([[19, 5], ...differences(1, -19)]), 2)).toBeInstanceOf(Bzip2Code);
    expect(() => Bzip2Code.read(reader([[19, 5], ...differences(2, 0)]), 2)).toThrow("it is damaged");
    expect(() => Bzip2Code.read(reader([[2, 5], ...differences(0, -2)]), 2)).toThrow("it is damaged");
  });
});
