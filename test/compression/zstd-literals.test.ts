import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { ZstdLiterals } from "../../src/compression/zstd-literals.ts";
import { type Field, packBackward } from "./bits.ts";

const DAMAGED = "a block is damaged";
const LIMIT = 128 * 1024;
const [RAW, RUN, COMPRESSED, TREELESS] = [0, 1, 2, 3];

/** Header of stored literals or a run: size formats 0, 1 and 3 have 5, 12 and 20 bits. */
function stored(type: number, format: number, size: number): Uint8Array {
  if (format === 0) return Uint8Array.of(type | (size << 3));
  const word = type | (format << 2) | (size << 4);
  return Uint8Array.of(word, word >> 8, word >> 16).subarray(0, format === 1 ? 2 : 3);
}

/** Header of compressed literals: size formats 0 to 3. */
function compressed(type: number, format: number, size: number, packed: number): Uint8Array {
  const bits = format < 2 ? 10 : format === 2 ? 14 : 18;
  let word = BigInt(type | (format << 2) | (size << 4)) | (BigInt(packed) << BigInt(4 + bits));
  return Uint8Array.from({ length: format < 2 ? 3 : format + 2 }, () => {
    const byte = Number(word & 0xffn);
    word >>= 8n;
    return byte;
  });
}

const decode = (parts: Uint8Array[], limit = LIMIT, literals = new ZstdLiterals()) => {
  const [bytes, length] = literals.decode(concatBytes(parts), limit);
  return { bytes: bytes.slice(), length };
};

describe("literals that are stored or a run", () => {
  test.each([
    [0, 0],
    [0, 31],
    [1, 32],
    [1, 4095],
    [3, 4096],
    [3, LIMIT],
  ])("in size format %d, %d bytes", (format, size) => {
    const content = Uint8Array.from({ length: size }, (_, i) => i);
    const headerLength = stored(RAW, format, size).length;
    const raw = decode([stored(RAW, format, size), content, Uint8Array.of(9)]);
    expect([raw.length, Buffer.compare(raw.bytes, content)]).toEqual([headerLength + size, 0]);
    const run = decode([stored(RUN, format, size), Uint8Array.of(7, 9)]);
    expect([run.length, Buffer.compare(run.bytes, new Uint8Array(size).fill(7))]).toEqual([headerLength + 1, 0]);
  });

  test("may have a size of 5 bits in format 2, too", () => {
    expect(decode([Uint8Array.of(RAW | (2 << 2) | (1 << 3) | (1 << 4)), Uint8Array.of(5, 6, 7, 8)]).bytes).toEqual(
      Uint8Array.of(5, 6, 7),
    );
  });

  test("are refused beyond the limit, or if they are cut short", () => {
    for (const type of [RAW, RUN]) {
      expect(decode([stored(type, 0, 20), new Uint8Array(20)], 20).bytes.length).toBe(20);
      expect(() => decode([stored(type, 0, 20), new Uint8Array(20)], 19)).toThrow(DAMAGED);
    }
    expect(() => decode([stored(RAW, 0, 20), new Uint8Array(19)])).toThrow(DAMAGED);
    expect(() => decode([stored(RUN, 0, 20)])).toThrow(DAMAGED);
    expect(() => decode([])).toThrow(DAMAGED);
  });
});

describe("literals with a Huffman code", () => {
  /** The symbols 0 and 1, each with one bit. */
  const TREE = Uint8Array.of(128, 1 << 4);
  const bits = (literals: number[]) => packBackward(literals.map((literal): Field => [literal, 1]));
  const pattern = (size: number) => Array.from({ length: size }, (_, i) => (i % 3 === 0 ? 1 : 0));

  /** One stream, or four with the lengths of the first three before them. */
  function body(literals: number[], hasFour: boolean): Uint8Array {
    if (!hasFour) return bits(literals);
    const each = Math.ceil(literals.length / 4);
    const streams = [0, 1, 2, 3].map((i) => bits(literals.slice(i * each, i === 3 ? undefined : (i + 1) * each)));
    const lengths = streams.slice(0, 3).flatMap(({ length }) => [length & 0xff, length >> 8]);
    return concatBytes([Uint8Array.from(lengths), ...streams]);
  }

  const section = (type: number, format: number, literals: number[]) => {
    const parts = [...(type === COMPRESSED ? [TREE] : []), body(literals, format > 0)];
    const packed = concatBytes(parts);
    return concatBytes([compressed(type, format, literals.length, packed.length), packed]);
  };

  test.each([
    [0, 1],
    [0, 1023],
    [1, 6],
    [1, 7],
    [1, 1023],
    [2, 1024],
    [2, 16_383],
    [3, 16_384],
    [3, LIMIT],
  ])("in size format %d, %d bytes", (format, size) => {
    const literals = pattern(size);
    const bytes = section(COMPRESSED, format, literals);
    const read = decode([bytes, Uint8Array.of(1, 2)]);
    expect([read.length, Buffer.compare(read.bytes, Uint8Array.from(literals))]).toEqual([bytes.length, 0]);
  });

  test("use the tree of the block before, of the same frame", () => {
    const literals = new ZstdLiterals();
    const again = section(TREELESS, 0, pattern(9));
    expect(() => decode([again], LIMIT, literals)).toThrow(DAMAGED);
    decode([section(COMPRESSED, 0, pattern(5))], LIMIT, literals);
    expect(decode([again], LIMIT, literals).bytes).toEqual(Uint8Array.from(pattern(9)));
    literals.begin();
    expect(() => decode([again], LIMIT, literals)).toThrow(DAMAGED);
  });

  test("are refused beyond the limit, or if they are cut short", () => {
    const bytes = section(COMPRESSED, 0, pattern(100));
    expect(decode([bytes], 100).bytes.length).toBe(100);
    expect(() => decode([bytes], 99)).toThrow(DAMAGED);
    for (let length = 0; length < bytes.length; length++) expect(() => decode([bytes.subarray(0, length)])).toThrow(DAMAGED);
  });

  test.each([
    ["have too few literals for four streams", 2, Uint8Array.of(1, 0, 1, 0, 1, 0, 2, 2, 1, 1)],
    ["lack the lengths of the streams", 8, Uint8Array.of(1, 0, 1, 0, 1)],
    ["have a length beyond the end", 8, Uint8Array.of(1, 0, 1, 0, 3, 0, 4, 4, 4, 4)],
    ["lack the last stream", 8, Uint8Array.of(1, 0, 1, 0, 1, 0, 4, 4, 4)],
  ])("are refused if they %s", (_, size, streams) => {
    expect(() => decode([compressed(COMPRESSED, 1, size, 2 + streams.length), TREE, streams])).toThrow(DAMAGED);
  });
});
