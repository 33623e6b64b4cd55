import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { BitReader } from "../../src/compression/bit-reader.ts";
import { Bzip2Block } from "../../src/compression/bzip2-block.ts";
import { type Field, packHighFirst } from "./bits.ts";

const DAMAGED = "it is damaged";
const LEVEL = 1000;

/** CRC-32 with the highest bit of each byte first. */
function crc(content: Iterable<number>): number {
  let sum = -1;
  for (const byte of content) {
    sum ^= byte << 24;
    for (let i = 0; i < 8; i++) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
  }
  return ~sum >>> 0;
}

/** Parts of a block, which tests change. */
interface Parts {
  readonly crc: number;
  readonly randomized: number;
  readonly origin: number;
  /** Which bytes the block has. */
  readonly used: readonly number[];
  readonly codeCount: number;
  /** Codes of the groups, in the move-to-front form. */
  readonly selectors: readonly number[];
  readonly selectorCount: number;
  /** Digits of runs (0 and 1), places in the list of used bytes (from 2 on), and the end. */
  readonly symbols: readonly number[];
}

/** Transforms bytes like an encoder of bzip2, after the first runs are counted. */
function partsOf(bytes: readonly number[], content = bytes): Parts {
  const rotations = bytes.map((_, i) => i);
  const at = (i: number) => bytes[i % bytes.length] as number;
  rotations.sort((a, b) => {
    for (let k = 0; k < bytes.length; k++) if (at(a + k) !== at(b + k)) return at(a + k) - at(b + k);
    return a - b;
  });
  const used = [...new Set(bytes)].sort((a, b) => a - b);
  const front = [...used];
  const symbols: number[] = [];
  let run = 0;
  const endRun = () => {
    for (; run > 0; run = (run - 1) >> 1) symbols.push((run - 1) % 2);
    run = 0;
  };
  for (const start of rotations) {
    const byte = at(start + bytes.length - 1);
    const place = front.indexOf(byte);
    if (place === 0) run++;
    else {
      endRun();
      symbols.push(place + 1);
      front.splice(place, 1);
      front.unshift(byte);
    }
  }
  endRun();
  symbols.push(used.length + 1);
  const selectors = Array<number>(Math.ceil(symbols.length / 50)).fill(0);
  const origin = rotations.indexOf(0);
  return { crc: crc(content), randomized: 0, origin, used, codeCount: 2, selectors, selectorCount: selectors.length, symbols };
}

/** Packs a block after its mark. All codes are equal: those of one length, in their order. */
function packed({ crc, randomized, origin, used, codeCount, selectors, selectorCount, symbols }: Parts): Uint8Array {
  const rows = Array.from({ length: 16 }, (_, row) => used.filter((byte) => byte >> 4 === row).map((byte) => byte & 15));
  const mask = (places: readonly number[]): Field => [places.reduce((bits, place) => bits | (0x8000 >> place), 0), 16];
  const count = used.length + 2;
  const length = Math.ceil(Math.log2(count));
  const code: Field[] = [[length, 5], ...Array<Field>(count).fill([0, 1])];
  return packHighFirst([
    [crc, 32],
    [randomized, 1],
    [origin, 24],
    mask(rows.flatMap((row, i) => (row.length > 0 ? [i] : []))),
    ...rows.filter((row) => row.length > 0).map(mask),
    [codeCount, 3],
    [selectorCount, 15],
    ...selectors.flatMap((selector) => [...Array<Field>(selector).fill([1, 1]), [0, 1] as Field]),
    ...Array.from({ length: codeCount }, () => code).flat(),
    ...symbols.map((symbol): Field => [symbol, length]),
  ]);
}

function begun(bytes: Uint8Array, size = LEVEL): Bzip2Block {
  const block = new Bzip2Block(size);
  const bits = new BitReader();
  bits.supply(bytes, 0);
  block.begin(bits);
  return block;
}

/** Reads a block's content in pieces of some size. */
function contentOf(block: Bzip2Block, piece = 100): Uint8Array {
  const parts: Uint8Array[] = [];
  const output = new Uint8Array(piece);
  for (let length = block.read(output); length > 0; length = block.read(output)) parts.push(output.slice(0, length));
  return concatBytes(parts);
}

const decoded = (parts: Parts, size?: number): number[] => {
  const block = begun(packed(parts), size);
  const content = contentOf(block);
  expect(block.end() >>> 0).toBe(parts.crc);
  return [...content];
};

const BANANA = [...Buffer.from("banana, bandana!")];
const parts = partsOf(BANANA);

describe("the content of a block", () => {
  test.each([
    ["one byte", [65]],
    ["a word", BANANA],
    ["every byte", Array.from({ length: 256 }, (_, i) => (i * 77) & 0xff)],
    ["a period", Array.from({ length: 300 }, (_, i) => i % 3)],
  ])("is %s", (_, bytes) => {
    expect(decoded(partsOf(bytes))).toEqual(bytes);
  });

  test.each([0, 1, 255])("has four equal bytes and %d more", (more) => {
    const content = [1, ...Array<number>(4 + more).fill(9), 9, 9, 2];
    expect(decoded(partsOf([1, 9, 9, 9, 9, more, 9, 9, 2], content))).toEqual(content);
  });

  test("is read in pieces that end within a run", () => {
    const content = [1, ...Array<number>(12).fill(9), 2, 2, 2, 2];
    const bytes = packed(partsOf([1, 9, 9, 9, 9, 8, 2, 2, 2, 2, 0], content));
    for (const piece of [1, 2, 3, 5, 17, 18]) expect([...contentOf(begun(bytes), piece)]).toEqual(content);
  });

  test("has a checksum", () => {
    const block = begun(packed({ ...parts, crc: (parts.crc ^ 1) >>> 0 }));
    contentOf(block);
    expect(() => block.end()).toThrow("checksum of a block");
  });

  test("does not depend on the block before it", () => {
    const block = begun(packed(partsOf([7, 7, 7, 7, 200, 1, 2], [...Array<number>(204).fill(7), 1, 2])));
    // The rest of the run is not read.
    block.read(new Uint8Array(10));
    const bits = new BitReader();
    bits.supply(packed(parts), 0);
    block.begin(bits);
    expect([...contentOf(block)]).toEqual(BANANA);
  });
});

describe("the length of a block", () => {
  test("is at most that of its level, whether it ends with a run or another byte", () => {
    const run = Array<number>(LEVEL - 1).fill(3);
    // The transform of the first ends with a run, that of the second with another byte.
    for (const bytes of [
      [1, ...run],
      [...run, 5],
    ]) {
      expect(contentOf(begun(packed(partsOf(bytes)))).length).toBeGreaterThan(0);
      expect(() => begun(packed(partsOf(bytes)), LEVEL - 1)).toThrow(DAMAGED);
    }
  });

  test("is at most that of its level, if a run is too long by itself or never ends", () => {
    // 9 digits 2 make a run of 2 * (2^9 - 1).
    const long = (digits: number, end: number[]) => ({
      ...parts,
      used: [3],
      origin: 0,
      symbols: [...Array<number>(digits).fill(1), ...end],
      selectors: [0],
      selectorCount: 1,
    });
    expect(begun(packed(long(8, [2])), 510)).toBeInstanceOf(Bzip2Block);
    expect(() => begun(packed(long(8, [2])), 509)).toThrow(DAMAGED);
    for (const digits of [22, 49]) expect(() => begun(packed(long(digits, [2])), 900_000)).toThrow(DAMAGED);
  });

  test("is more than the place of the original", () => {
    expect(begun(packed({ ...parts, origin: BANANA.length - 1 }))).toBeInstanceOf(Bzip2Block);
    for (const origin of [BANANA.length, 2 ** 24 - 1]) expect(() => begun(packed({ ...parts, origin }))).toThrow(DAMAGED);
    // A block without bytes has no place at all.
    expect(() => begun(packed({ ...parts, origin: 0, symbols: [parts.used.length + 1] }))).toThrow(DAMAGED);
  });
});

describe("the codes of a block", () => {
  test("are two to six, of which any may be selected", () => {
    for (const codeCount of [2, 6])
      for (let selector = 0; selector < codeCount; selector++)
        expect(decoded({ ...parts, codeCount, selectors: [selector] })).toEqual(BANANA);
  });

  test("may be selected for more groups than needed, up to 32,767", () => {
    for (const selectorCount of [3, 32_767])
      expect(decoded({ ...parts, selectors: Array<number>(selectorCount).fill(0), selectorCount })).toEqual(BANANA);
  });
});

describe("a block is refused", () => {
  test.each([0, 1, 7])("with %d codes", (codeCount) => {
    expect(() => begun(packed({ ...parts, codeCount }))).toThrow(DAMAGED);
  });

  test("if it selects a code that it doesn't have", () => {
    for (const codeCount of [2, 6]) expect(() => begun(packed({ ...parts, codeCount, selectors: [codeCount] }))).toThrow(DAMAGED);
  });

  test("with no selectors, or too few for its symbols", () => {
    expect(() => begun(packed({ ...parts, selectors: [], selectorCount: 0 }))).toThrow(DAMAGED);
    const long = partsOf(Array.from({ length: 150 }, (_, i) => (i * 77) & 0xff));
    expect(long.selectors.length).toBeGreaterThan(1);
    expect(() => begun(packed({ ...long, selectors: long.selectors.slice(1), selectorCount: long.selectors.length - 1 }))).toThrow(
      DAMAGED,
    );
  });

  test("without used bytes, or if it is randomized", () => {
    expect(() => begun(packed({ ...parts, used: [] }))).toThrow(DAMAGED);
    expect(() => begun(packed({ ...parts, randomized: 1 }))).toThrow("randomized");
  });

  test("if it is cut short", () => {
    const bytes = packed(parts);
    for (let length = 0; length < bytes.length; length++) expect(() => begun(bytes.subarray(0, length))).toThrow("cut short");
  });
});
