import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { LzmaDecoder } from "../../src/compression/lzma-decoder.ts";
import { ONE, sample } from "./streams.ts";

/** Length of a `.lzma` header. The LZMA stream follows it. */
const HEADER = 13;
const PROPERTIES = { lc: 3, lp: 0, pb: 2 };
const CONTENT = utf8(ONE);

/** A stream with an end marker. */
const marked = (await sample("lzma.one")).subarray(HEADER);
/** A stream without, of `seq 1 25000`. */
const unmarked = (await sample("sized.lzma")).subarray(HEADER);
const UNMARKED_SIZE = 138_894;

function decoderOf(dictionarySize = 1 << 24): LzmaDecoder {
  const decoder = new LzmaDecoder();
  decoder.open(dictionarySize);
  decoder.resetState(PROPERTIES);
  return decoder;
}

interface Options {
  readonly size?: number | undefined;
  readonly mayHaveMarker?: boolean;
  readonly decoder?: LzmaDecoder;
}

/** Decodes a whole stream. Returns the content, and the number of bytes that the stream takes. */
function decode(stream: Uint8Array, { size, mayHaveMarker = true, decoder = decoderOf() }: Options = {}): [Uint8Array, number] {
  decoder.begin(stream.subarray(0, LzmaDecoder.START), size, mayHaveMarker);
  let at = LzmaDecoder.START;
  while (!decoder.isEnded) at += decoder.run(stream.subarray(at), true);
  return [concatBytes(decoder.takeOutput()), at];
}

describe("the beginning of a stream", () => {
  test("is a zero and four bytes", () => {
    const decoder = decoderOf();
    for (const length of [0, 4, 6]) expect(() => decoder.begin(marked.subarray(0, length), undefined, true)).toThrow("damaged");
    expect(() => decoder.begin(Uint8Array.of(1, 0, 0, 0, 0), undefined, true)).toThrow("damaged");
    expect(decode(marked, { decoder })).toEqual([CONTENT, marked.length]);
  });
});

describe("the size of a stream", () => {
  test("is unknown, and a marker ends the stream", () => {
    expect(decode(concatBytes([marked, Uint8Array.of(1, 2, 3)]))).toEqual([CONTENT, marked.length]);
  });

  test("is known, and no marker comes", () => {
    const [content, length] = decode(unmarked, { size: UNMARKED_SIZE, mayHaveMarker: false });
    expect([content.length, length]).toEqual([UNMARKED_SIZE, unmarked.length]);
  });

  test("is known, and a marker comes nevertheless", () => {
    expect(decode(marked, { size: CONTENT.length })).toEqual([CONTENT, marked.length]);
    expect(() => decode(marked, { size: CONTENT.length, mayHaveMarker: false })).toThrow("damaged");
  });

  test("is not the one that the header states", () => {
    expect(() => decode(marked, { size: CONTENT.length + 1 })).toThrow("less content");
    expect(() => decode(marked, { size: CONTENT.length - 1 })).toThrow("more content");
    expect(() => decode(unmarked, { size: UNMARKED_SIZE + 1 })).toThrow("cut short");
    expect(() => decode(unmarked, { size: UNMARKED_SIZE - 1 })).toThrow("more content");
    expect(() => decode(unmarked, { size: UNMARKED_SIZE - 1, mayHaveMarker: false })).toThrow("damaged");
  });

  test("is zero, and the stream ends at once", () => {
    const decoder = decoderOf();
    decoder.begin(new Uint8Array(5), 0, false);
    expect(decoder.run(Uint8Array.of(1, 2, 3), true)).toBe(0);
    expect([decoder.isEnded, decoder.takeOutput()]).toEqual([true, []]);
    decoder.begin(Uint8Array.of(0, 0, 0, 0, 1), 0, false);
    expect(() => decoder.run(Uint8Array.of(1, 2, 3), true)).toThrow("damaged");
  });
});

describe("the input of a run", () => {
  test("must be long enough for a symbol, unless it is the last", () => {
    const decoder = decoderOf();
    decoder.begin(marked.subarray(0, 5), undefined, true);
    expect(decoder.run(marked.subarray(5, 5 + 19), false)).toBe(0);
    expect(decoder.takeOutput()).toEqual([]);
    const used = decoder.run(marked.subarray(5, 5 + 40), false);
    expect(used).toBeGreaterThan(0);
    expect(used).toBeLessThanOrEqual(40);
    const first = concatBytes(decoder.takeOutput());
    let at = 5 + used;
    while (!decoder.isEnded) at += decoder.run(marked.subarray(at), true);
    expect(concatBytes([first, ...decoder.takeOutput()])).toEqual(CONTENT);
  });

  test("is refused if it is cut short", () => {
    for (const length of [5, 6, 100, marked.length - 1])
      expect(() => decode(marked.subarray(0, length))).toThrow(/cut short|damaged/);
  });
});

describe("damaged content", () => {
  test("refers to bytes before the stream", () => {
    // The first symbol is a match.
    expect(() => decode(concatBytes([Uint8Array.of(0, 0xff, 0xff, 0xff, 0xfe), new Uint8Array(100)]))).toThrow("it is damaged");
  });

  test("leaves something in the range coder at its end", () => {
    const bytes = marked.slice();
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    expect(() => decode(bytes)).toThrow("it is damaged");
  });
});

describe("stored bytes", () => {
  /** Appends bytes, and returns them as they come out. */
  function stored(dictionarySize: number, bytes: Uint8Array): Uint8Array[] {
    const decoder = decoderOf(dictionarySize);
    decoder.store(bytes);
    return decoder.takeOutput();
  }
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 5);

  test.each([1, 4096, 65_536, 200_000, 1 << 20])("come out as they are with a dictionary of %d bytes", (size) => {
    for (const length of [0, 1, 65_536, 65_537, 300_000])
      expect(Buffer.compare(concatBytes(stored(size, bytes.subarray(0, length))), bytes.subarray(0, length))).toBe(0);
  });

  test("are copies", () => {
    const decoder = decoderOf();
    decoder.store(Uint8Array.of(1, 2, 3));
    const [first] = decoder.takeOutput();
    decoder.store(Uint8Array.of(4));
    decoder.open(4096);
    decoder.store(Uint8Array.of(9, 9, 9));
    expect(first).toEqual(Uint8Array.of(1, 2, 3));
    expect(decoder.takeOutput()).toEqual([Uint8Array.of(4), Uint8Array.of(9, 9, 9)]);
    expect(decoder.takeOutput()).toEqual([]);
  });
});
