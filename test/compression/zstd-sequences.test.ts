import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { ZstdSequences } from "../../src/compression/zstd-sequences.ts";
import { type Field, packBackward } from "./bits.ts";

/** Content before the block: each byte is its own offset. */
const START = 100;
const DAMAGED = "a block is damaged";
const OUTSIDE = "a block refers to bytes outside the window";
const TOO_LARGE = "a block is too large";

/** Modes of the three tables: each has one symbol, or is the one of the block before. */
const SINGLE = 0b01_01_01_00;
const REPEATED = 0b11_11_11_00;

interface Sequence {
  /** Number of literals, below 16. */
  readonly literals?: number;
  /** An offset plus 3, or 1 to 3 for one of the last offsets. */
  readonly offset: number;
  /** Length of the match, 3 to 34, which has no extra bits. */
  readonly match?: number;
}

function countBytes(count: number): number[] {
  if (count < 128) return [count];
  return count < 0x7f00 ? [128 + (count >> 8), count & 0xff] : [255, (count - 0x7f00) & 0xff, (count - 0x7f00) >> 8];
}

function offsetField(value: number): { code: number; extra: Field } {
  const code = 31 - Math.clz32(value);
  return { code, extra: [value - 2 ** code, code] };
}

/** A section with `count` equal sequences. */
function section({ literals = 0, offset, match = 3 }: Sequence, count = 1): Uint8Array {
  const { code, extra } = offsetField(offset);
  const bits = packBackward(Array<Field>(count).fill(extra));
  return concatBytes([Uint8Array.from([...countBytes(count), SINGLE, literals, code, match - 3]), bits]);
}

/** Executes a section after 100 bytes, and returns the content. */
function execute(
  section: Uint8Array,
  literals: number[] | Uint8Array = [],
  { sequences = new ZstdSequences(), first = 0, limit = 200_000 } = {},
): Uint8Array {
  const buffer = new Uint8Array(START + limit);
  for (let i = 0; i < START; i++) buffer[i] = i;
  const output = { buffer, first, start: START, limit: START + limit };
  return buffer.slice(START, sequences.execute(section, Uint8Array.from(literals), output));
}

describe("a block without sequences", () => {
  test("has its literals as content", () => {
    expect([...execute(Uint8Array.of(0), [1, 2, 3])]).toEqual([1, 2, 3]);
    const many = Uint8Array.from({ length: 33 }, (_, i) => i);
    expect(execute(Uint8Array.of(0), many)).toEqual(many);
  });

  test("is refused if something follows the number of sequences, or the number is missing", () => {
    expect(() => execute(Uint8Array.of(0, 0), [1])).toThrow(DAMAGED);
    expect(() => execute(new Uint8Array(0), [1])).toThrow(DAMAGED);
  });
});

test.each([1, 127, 128, 0x7eff, 0x7f00, 0x7f01])("%d sequences are executed", (count) => {
  const content = execute(section({ offset: 1 + 3 }, count));
  expect(content.length).toBe(3 * count);
  expect(content.every((byte) => byte === START - 1)).toBe(true);
});

test("literals come before the match, and those left over at the end", () => {
  expect([...execute(section({ literals: 2, offset: 5 + 3, match: 4 }, 2), [1, 2, 3, 4, 5, 6])]).toEqual(
    // Each match begins five bytes before.
    [1, 2, 97, 98, 99, 1, 3, 4, 98, 99, 1, 3, 5, 6],
  );
});

test("matches of any length and distance, also of bytes that they write themselves", () => {
  for (const match of [3, 32, 33, 34])
    for (const distance of [1, 2, 31, 32, 33, 34, 100]) {
      const expected = Array.from({ length: START }, (_, i) => i);
      for (let i = 0; i < match; i++) expected.push(expected[expected.length - distance] as number);
      expect([...execute(section({ offset: distance + 3, match }))]).toEqual(expected.slice(START));
    }
});

describe("the last offsets", () => {
  /** Distance of the match of a block's only sequence. */
  function distance(sequences: ZstdSequences, literals: number, offset: number): number {
    // The literal has the value that the byte before would have at its place.
    const content = execute(section({ literals, offset }), Array<number>(literals).fill(START), { sequences });
    return START + literals - (content[literals] as number);
  }
  /** The last three offsets, found by sequences with a literal. */
  const history = (sequences: ZstdSequences) => [1, 2, 3].map((value) => distance(sequences, 1, value));

  test("are 1, 4 and 8 at first", () => {
    expect(history(new ZstdSequences())).toEqual([1, 4, 8]);
  });

  test.each([
    ["1 with a literal is the last", 1, 1, 1, [1, 4, 8]],
    ["2 with a literal is the one before", 1, 2, 4, [4, 1, 8]],
    ["3 with a literal is the third last", 1, 3, 8, [8, 1, 4]],
    ["4 is a distance of 1", 1, 4, 1, [1, 1, 4]],
    ["23 is a distance of 20", 1, 23, 20, [20, 1, 4]],
    ["1 without a literal is the one before the last", 0, 1, 4, [4, 1, 8]],
    ["2 without a literal is the third last", 0, 2, 8, [8, 1, 4]],
    ["23 without a literal is a distance of 20", 0, 23, 20, [20, 1, 4]],
  ])("%s", (_, literals, value, expected, after) => {
    const sequences = new ZstdSequences();
    expect(distance(sequences, literals, value)).toBe(expected);
    expect(history(sequences)).toEqual(after);
  });

  test("3 without a literal is one less than the last, which must not be 0", () => {
    const sequences = new ZstdSequences();
    expect(() => distance(sequences, 0, 3)).toThrow(DAMAGED);
    expect(distance(sequences, 1, 23)).toBe(20);
    expect(distance(sequences, 0, 3)).toBe(19);
    expect(history(sequences)).toEqual([19, 20, 1]);
  });
});

describe("the limits of", () => {
  test("a block's content", () => {
    const two = section({ literals: 2, offset: 4 });
    expect(execute(two, [1, 2, 3], { limit: 6 }).length).toBe(6);
    for (const limit of [5, 4, 1]) expect(() => execute(two, [1, 2, 3], { limit })).toThrow(TOO_LARGE);
    expect(execute(two, [1, 2], { limit: 5 }).length).toBe(5);
    // A match writes nothing behind the limit.
    const buffer = new Uint8Array(START + 100);
    const output = { buffer, first: 0, start: START, limit: START + 4 };
    buffer[START - 1] = 7;
    expect(() => new ZstdSequences().execute(section({ offset: 4, match: 5 }), new Uint8Array(0), output)).toThrow(TOO_LARGE);
    expect(buffer.subarray(START).every((byte) => byte === 0)).toBe(true);
    expect(() => execute(Uint8Array.of(0), [1, 2, 3], { limit: 2 })).toThrow(TOO_LARGE);
  });

  test("the window", () => {
    const first = START - 20;
    expect([...execute(section({ offset: 20 + 3 }), [], { first })]).toEqual([80, 81, 82]);
    expect(() => execute(section({ offset: 21 + 3 }), [], { first })).toThrow(OUTSIDE);
    // The code 31 would make a negative number.
    for (const code of [29, 31])
      expect(() => execute(concatBytes([Uint8Array.of(1, SINGLE, 0, code, 0), packBackward([[0, code]])]))).toThrow(OUTSIDE);
  });

  test("the literals", () => {
    expect(execute(section({ literals: 3, offset: 4 }), [1, 2, 3]).length).toBe(6);
    expect(() => execute(section({ literals: 3, offset: 4 }), [1, 2])).toThrow(DAMAGED);
  });

  test("the codes", () => {
    const single = (literals: number, match: number) =>
      concatBytes([
        Uint8Array.of(1, SINGLE, literals, 2, match),
        packBackward([
          [0, 2],
          [1, match === 52 ? 16 : 0],
          [1, literals === 35 ? 16 : 0],
        ]),
      ]);
    expect(execute(single(35, 52), new Uint8Array(65_537)).length).toBe(65_537 + 65_540);
    for (const section of [single(36, 0), single(0, 53), Uint8Array.of(1, SINGLE, 0, 32, 0, 1)])
      expect(() => execute(section, new Uint8Array(65_537))).toThrow(DAMAGED);
  });
});

describe("tables", () => {
  test("of the block before are used again", () => {
    const sequences = new ZstdSequences();
    execute(section({ literals: 1, offset: 10 + 3, match: 5 }), [7], { sequences });
    const again = concatBytes([Uint8Array.of(1, REPEATED), packBackward([offsetField(9 + 3).extra])]);
    expect([...execute(again, [8], { sequences })]).toEqual([8, 92, 93, 94, 95, 96]);
  });

  test("can't be those of the block before in the first block", () => {
    for (const modes of [0b11_01_01_00, 0b01_11_01_00, 0b01_01_11_00])
      expect(() => execute(Uint8Array.of(1, modes, 0, 2, 0, 0b100), [])).toThrow(DAMAGED);
  });

  test("are the predefined ones", () => {
    // The initial states of 6, 5 and 6 bits: no literals, the offset's code 2, a length of 4.
    const bits = packBackward([
      [0, 6],
      [14, 5],
      [1, 6],
      [1, 2],
    ]);
    const content = execute(concatBytes([Uint8Array.of(1, 0), bits]));
    expect([...content]).toEqual([98, 99, 98, 99]);
  });

  test("have reserved bits in their modes, which must be 0, and are not missing", () => {
    for (const reserved of [1, 2]) expect(() => execute(Uint8Array.of(1, SINGLE | reserved, 0, 2, 0, 0b100), [])).toThrow(DAMAGED);
    for (const length of [1, 2, 3, 4]) expect(() => execute(section({ offset: 4 }).subarray(0, length))).toThrow(DAMAGED);
  });
});

test("sequences may take no bits at all", () => {
  // The last offset is 1. The mark is the only bit.
  expect([...execute(Uint8Array.of(3, SINGLE, 1, 0, 0, 1), [5, 6, 7])]).toEqual([5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7]);
});

test("bits that are missing or left over are refused", () => {
  const head = Uint8Array.of(2, SINGLE, 0, 2, 0);
  const execution = (...fields: Field[]) => execute(concatBytes([head, packBackward(fields)]));
  expect(execution([1, 2], [1, 2]).length).toBe(6);
  expect(() => execution([1, 2], [1, 2], [0, 1])).toThrow(DAMAGED);
  expect(() => execution([1, 2], [1, 1])).toThrow(DAMAGED);
  expect(() => execution([1, 1])).toThrow(DAMAGED);
  expect(() => execution()).toThrow(DAMAGED);
});
