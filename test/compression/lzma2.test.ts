import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { LzmaDecoder } from "../../src/compression/lzma-decoder.ts";
import { decodeLzma2, type Lzma2Chunk, Lzma2Chunks } from "../../src/compression/lzma2.ts";
import { inputOf, xzSample } from "./streams.ts";

const DAMAGED = "it is damaged";
/** The byte for lc = 3, lp = 0 and pb = 2. */
const USUAL = 93;
const LAST = Uint8Array.of(0);

const stored = (control: 1 | 2, length: number) =>
  concatBytes([Uint8Array.of(control, (length - 1) >> 8, length - 1), new Uint8Array(length).fill(7)]);

/** A chunk of `length` compressed bytes, which become `size` bytes. */
function lzma(control: number, { size = 1, length = 5, properties = USUAL } = {}): Uint8Array {
  const header = [control | ((size - 1) >> 16), (size - 1) >> 8, size - 1, (length - 1) >> 8, length - 1];
  return concatBytes([Uint8Array.from(control >= 0xc0 ? [...header, properties] : header), new Uint8Array(length)]);
}

/** The chunks of a stream up to its end. */
async function chunksOf(...parts: Uint8Array[]): Promise<Lzma2Chunk[]> {
  const input = inputOf(concatBytes(parts), 10_000);
  const chunks = new Lzma2Chunks();
  const found: Lzma2Chunk[] = [];
  for (let chunk = await chunks.next(input); chunk; chunk = await chunks.next(input))
    found.push({ ...chunk, data: chunk.data.slice() });
  return found;
}

const refused = (...parts: Uint8Array[]) => expect(chunksOf(...parts)).rejects.toThrow(DAMAGED);

describe("the header of a chunk", () => {
  test("says what the chunk resets", async () => {
    const found = await chunksOf(
      lzma(0xe0),
      lzma(0x80),
      lzma(0xa0),
      lzma(0xc0, { properties: 0 }),
      stored(2, 1),
      stored(1, 1),
      LAST,
    );
    const facts = found.map(({ isStored, resetsDictionary, resetsState }) => [isStored, resetsDictionary, resetsState]);
    expect(facts).toEqual([
      [false, true, true],
      [false, false, false],
      [false, false, true],
      [false, false, true],
      [true, false, false],
      [true, true, false],
    ]);
    const none = undefined;
    expect(found.map(({ properties }) => properties)).toEqual([
      { lc: 3, lp: 0, pb: 2 },
      none,
      none,
      { lc: 0, lp: 0, pb: 0 },
      none,
      none,
    ]);
  });

  test("has sizes of up to 64 KiB and 2 MiB", async () => {
    const sizes = async (chunk: Uint8Array) => {
      const [found] = await chunksOf(chunk, LAST);
      return [found?.size, found?.data.length];
    };
    for (const length of [1, 256, 65_536]) expect(await sizes(stored(1, length))).toEqual([length, length]);
    for (const size of [1, 65_536, 65_537, 2 ** 21]) expect(await sizes(lzma(0xe0, { size }))).toEqual([size, 5]);
    for (const length of [5, 65_536]) expect(await sizes(lzma(0xe0, { length }))).toEqual([1, length]);
  });

  test("is refused if its control byte is not known", async () => {
    for (const control of [3, 4, 0x7f]) await refused(Uint8Array.of(control, 0, 0, 0, 0, 0, 0, 0));
  });

  test("is refused with properties that no stream has", async () => {
    for (const properties of [4 + 9, 225, 255])
      await expect(chunksOf(lzma(0xe0, { properties }), LAST)).rejects.toThrow("properties that no LZMA2 stream has");
    // lc + lp = 4, and pb = 4.
    for (const properties of [4, 3 + 9, 4 * 45]) expect((await chunksOf(lzma(0xe0, { properties }), LAST)).length).toBe(1);
  });
});

describe("the chunks of a stream", () => {
  test("may be none", async () => {
    expect(await chunksOf(LAST)).toEqual([]);
  });

  test("begin with a reset of the dictionary", async () => {
    for (const control of [0x80, 0xa0, 0xc0]) await refused(lzma(control), LAST);
    await refused(stored(2, 1), LAST);
  });

  test("have properties after a reset of the dictionary, before the first that is compressed", async () => {
    for (const control of [0x80, 0xa0]) {
      await refused(stored(1, 1), lzma(control), LAST);
      await refused(lzma(0xe0), stored(1, 1), lzma(control), LAST);
      expect((await chunksOf(stored(1, 1), stored(2, 1), lzma(0xc0), stored(2, 1), lzma(control), LAST)).length).toBe(5);
    }
  });

  test("end before other bytes", async () => {
    const input = inputOf(concatBytes([LAST, Uint8Array.of(5)]));
    expect(await new Lzma2Chunks().next(input)).toBe(undefined);
    expect(input.bytes).toEqual(Uint8Array.of(5));
  });

  test("are refused if they are cut short", async () => {
    for (const chunk of [stored(1, 3), lzma(0xe0)])
      for (let length = 0; length <= chunk.length; length++)
        await expect(chunksOf(chunk.subarray(0, length))).rejects.toThrow("cut short");
  });
});

describe("decoding", () => {
  /** Chunks that xz compressed or stored, whose headers begin after those of stream and block. */
  const real = async (name: string): Promise<Lzma2Chunk[]> => chunksOf((await xzSample(name)).subarray(24));
  const decode = (chunks: Lzma2Chunk[]): Uint8Array => {
    const decoder = new LzmaDecoder();
    decoder.open(8 << 20);
    return concatBytes(chunks.flatMap((chunk) => [...decodeLzma2(decoder, chunk)]));
  };

  test("gives the content of chunks, some of which are stored", async () => {
    const chunks = await real("stored-8.xz");
    expect(new Set(chunks.map(({ isStored }) => isStored)).size).toBe(2);
    const content = decode(chunks);
    expect(content.length).toBe(chunks.reduce((sum, { size }) => sum + size, 0));
    expect(Buffer.from(content.subarray(0, 8)).toString()).toBe("0\n1\n2\n3\n");
  });

  test("refuses a chunk that refers to bytes before a reset of the dictionary", async () => {
    const chunks = await real("stored-8.xz");
    const later = chunks.findLastIndex(({ isStored }) => !isStored);
    expect(later).toBeGreaterThan(0);
    const changed = chunks.map((chunk, i) => (i === later ? { ...chunk, resetsDictionary: true } : chunk));
    expect(() => decode(changed)).toThrow(DAMAGED);
  });

  test("refuses a chunk whose content or data has another length", async () => {
    const [first] = (await real("properties.xz")) as [Lzma2Chunk];
    expect(decode([first]).length).toBe(first.size);
    expect(() => decode([{ ...first, size: first.size - 1 }])).toThrow("more content");
    expect(() => decode([{ ...first, size: first.size + 1 }])).toThrow("cut short");
    expect(() => decode([{ ...first, data: concatBytes([first.data, Uint8Array.of(0)]) }])).toThrow(DAMAGED);
    for (const length of [0, 4, first.data.length - 1])
      expect(() => decode([{ ...first, data: first.data.subarray(0, length) }])).toThrow(/damaged|cut short|more content/);
  });

  test("refuses a chunk whose range coder doesn't begin with a zero", async () => {
    const [first] = (await real("properties.xz")) as [Lzma2Chunk];
    const data = first.data.slice();
    data[0] = 1;
    expect(() => decode([{ ...first, data }])).toThrow(DAMAGED);
  });
});
