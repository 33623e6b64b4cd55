import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { decodeHuffman, readHuffmanTable } from "../../src/compression/zstd-huffman.ts";
import { packBackward } from "./bits.ts";
import { describeFse } from "./fse-description.ts";

const DAMAGED = "a block is damaged";

/** A description with plain weights of all symbols but the last. */
function plain(weights: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(1 + Math.ceil(weights.length / 2));
  bytes[0] = 127 + weights.length;
  for (const [i, weight] of weights.entries()) (bytes[1 + (i >> 1)] as number) |= weight << (i % 2 === 0 ? 4 : 0);
  return bytes;
}

describe("a description with plain weights", () => {
  test("gives the codes of RFC 8878, 4.2.1.3", () => {
    // The example of the RFC: the weight of the last symbol follows from the others.
    const [table, length] = readHuffmanTable(concatBytes([plain([4, 3, 2, 0, 1]), Uint8Array.of(99)]));
    expect(length).toBe(4);
    expect(table.log).toBe(4);
    expect([...table.symbols]).toEqual([4, 5, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...table.bits]).toEqual([4, 4, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
  });

  test("has one to 128 weights", () => {
    expect([...readHuffmanTable(plain([1]))[0].symbols]).toEqual([0, 1]);
    const [table, length] = readHuffmanTable(plain([...Array<number>(127).fill(0), 1]));
    expect([[...table.symbols], length]).toEqual([[127, 128], 65]);
  });

  test.each([
    ["all weights are 0", plain([0, 0, 0])],
    ["the last weight would be no power of two", plain([3, 1])],
    ["codes would have 12 bits", plain([12])],
    ["the weights are cut short", plain([4, 3, 2, 0, 1]).subarray(0, 3)],
    ["there are no bytes", new Uint8Array(0)],
  ])("is refused if %s", (_, bytes) => {
    expect(() => readHuffmanTable(bytes)).toThrow(DAMAGED);
  });

  test("may give codes of 11 bits", () => {
    const [table] = readHuffmanTable(plain([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]));
    expect([table.log, table.bits[0], table.symbols[1]]).toEqual([11, 11, 11]);
  });
});

describe("a description with compressed weights", () => {
  // 16 states each for the weights 1 and 2: the even states stand for one of them.
  const description = describeFse([0, 16, 16], 5);
  const compressed = (...fields: Parameters<typeof packBackward>[0][]) => {
    const body = concatBytes([description, packBackward(fields.flatMap((field) => [...field]))]);
    return concatBytes([Uint8Array.of(body.length), body]);
  };

  test("has two states that take turns", () => {
    // Two states of 5 bits, and 1 bit for the next state: then the bits are used up.
    const [table, length] = readHuffmanTable(
      compressed([
        [0, 5],
        [0, 5],
        [0, 1],
      ]),
    );
    expect(length).toBe(1 + description.length + 2);
    // The weights 1, 1 and 1; so the last one is 1, too.
    expect([...table.symbols]).toEqual([0, 1, 2, 3]);
  });

  test("is refused without bits for two states, without a mark, or if it is cut short", () => {
    const bytes = compressed([
      [0, 5],
      [0, 4],
    ]);
    expect(() => readHuffmanTable(bytes)).toThrow(DAMAGED);
    const unmarked = concatBytes([Uint8Array.of(description.length + 1), description, Uint8Array.of(0)]);
    expect(() => readHuffmanTable(unmarked)).toThrow(DAMAGED);
    expect(() => readHuffmanTable(bytes.subarray(0, -1))).toThrow(DAMAGED);
  });

  test("is refused if it has more than 255 weights", () => {
    // A table of one symbol takes no bits, so its weights would never end.
    const body = concatBytes([
      describeFse([0, 32], 5),
      packBackward([
        [0, 5],
        [0, 5],
      ]),
    ]);
    expect(() => readHuffmanTable(concatBytes([Uint8Array.of(body.length), body]))).toThrow(DAMAGED);
  });
});

describe("a stream of literals", () => {
  const [table] = readHuffmanTable(plain([4, 3, 2, 0, 1]));
  const read = (stream: Uint8Array, length: number) => {
    const output = new Uint8Array(length);
    decodeHuffman(table, stream, output);
    return [...output];
  };
  const CODES = { 0: [1, 1], 1: [1, 2], 2: [1, 3], 4: [0, 4], 5: [1, 4] } as const;

  test("is decoded", () => {
    for (const literals of [
      [0],
      [5],
      [4, 5, 0],
      [1, 2, 4, 0, 0, 5, 2, 1, 1, 0, 4],
      Array<0 | 4>(1000).fill(4),
    ] as (keyof typeof CODES)[][])
      expect(read(packBackward(literals.map((literal) => CODES[literal])), literals.length)).toEqual(literals);
  });

  test("is refused if literals are missing or left over, or it has no mark", () => {
    const stream = packBackward([CODES[4], CODES[0], CODES[2]]);
    expect(read(stream, 3)).toEqual([4, 0, 2]);
    for (const length of [2, 4, 100]) expect(() => read(stream, length)).toThrow(DAMAGED);
    expect(() => read(Uint8Array.of(1, 0), 1)).toThrow(DAMAGED);
    expect(() => read(new Uint8Array(0), 1)).toThrow(DAMAGED);
    // The last code has three of its four bits.
    expect(() => read(packBackward([[0, 3]]), 1)).toThrow(DAMAGED);
  });
});
