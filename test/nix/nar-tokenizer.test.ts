import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { NAR_MAX_TARGET_LENGTH, narTokens } from "../../src/nix/nar-grammar.ts";
import { NarTokenizer } from "../../src/nix/nar-tokenizer.ts";

class Problem extends Error {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

function tokenizer(): NarTokenizer {
  return new NarTokenizer((offset, problem) => new Problem(offset, problem));
}

/** Makes a length field. */
function length(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function* cut(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

const MAX = 20;
const TEXTS = ["", "a", "seven..", "eight...", "nine.....", "x".repeat(MAX)];

describe.each([1, 3, 7, 8, 9, 16, 1000])("in chunks of %d bytes", (size) => {
  test("tokens have their content and offsets", () => {
    const bytes = narTokens(...TEXTS);
    const tokens = tokenizer();
    const found: string[] = [];
    const offsets: number[] = [];
    for (const chunk of cut(bytes, size)) {
      tokens.next(chunk);
      while (tokens.readToken(MAX)) {
        found.push(new TextDecoder().decode(tokens.copy()));
        offsets.push(tokens.tokenOffset);
        expect(tokens.is(utf8(found.at(-1) ?? ""))).toBe(true);
        expect(tokens.is(utf8(`${found.at(-1)}.`))).toBe(false);
        // The last token may end where its chunk does.
        if (tokens.drained) break;
      }
      expect(tokens.drained).toBe(true);
    }
    expect(found).toEqual(TEXTS);
    expect(offsets).toEqual([0, 8, 24, 40, 56, 80]);
    expect(tokens.offset).toBe(bytes.length);
  });

  test("a length and raw bytes come in parts", () => {
    const bytes = concatBytes([narTokens("a"), length(12n), utf8("twelve bytes"), new Uint8Array(4)]);
    const tokens = tokenizer();
    let isRead = false;
    let count: number | undefined;
    let content = "";
    for (const chunk of cut(bytes, size)) {
      tokens.next(chunk);
      if (!isRead) isRead = tokens.readToken(MAX);
      if (isRead && count === undefined) count = tokens.readLength();
      if (count !== undefined) content += new TextDecoder().decode(tokens.take(12 - content.length));
    }
    expect([isRead, count, content, tokens.tokenOffset]).toEqual([true, 12, "twelve bytes", 16]);
  });

  test("a token above the limit is refused once its length is there", () => {
    const tokens = tokenizer();
    const chunks = cut(concatBytes([narTokens("a"), length(BigInt(MAX) + 1n)]), size);
    const readAll = () => {
      for (const chunk of chunks) {
        tokens.next(chunk);
        while (!tokens.drained) tokens.readToken(MAX);
      }
    };
    expect(readAll).toThrow(expect.objectContaining({ offset: 16 }));
  });

  test.each([1, 7])("padding byte %d must be zero", (at) => {
    const bytes = narTokens("a");
    bytes[8 + at] = 1;
    const tokens = tokenizer();
    const readAll = () => {
      for (const chunk of cut(bytes, size)) {
        tokens.next(chunk);
        tokens.readToken(MAX);
      }
    };
    expect(readAll).toThrow(expect.objectContaining({ offset: 0 }));
  });
});

test("the longest target fits if it is split between chunks", () => {
  const text = "x".repeat(NAR_MAX_TARGET_LENGTH);
  const bytes = narTokens("a");
  const long = concatBytes([length(BigInt(text.length)), utf8(text), new Uint8Array(1)]);
  const tokens = tokenizer();
  tokens.next(concatBytes([bytes, long.subarray(0, 5)]));
  expect(tokens.readToken(NAR_MAX_TARGET_LENGTH)).toBe(true);
  expect(tokens.readToken(NAR_MAX_TARGET_LENGTH)).toBe(false);
  tokens.next(long.subarray(5));
  expect(tokens.readToken(NAR_MAX_TARGET_LENGTH)).toBe(true);
  expect(tokens.copy().length).toBe(NAR_MAX_TARGET_LENGTH);
});

test.each([
  [2n ** 32n - 1n, 2 ** 32 - 1],
  [2n ** 32n, 2 ** 32],
  [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
  [2n ** 64n - 1n, 2 ** 64],
])("the length %d is read", (value, expected) => {
  const tokens = tokenizer();
  tokens.next(length(value));
  expect(tokens.readLength()).toBe(expected);
  const split = tokenizer();
  split.next(length(value).subarray(0, 4));
  expect(split.readLength()).toBeUndefined();
  split.next(length(value).subarray(4));
  expect(split.readLength()).toBe(expected);
});

test("lengths near 2^64 are above every limit", () => {
  const tokens = tokenizer();
  tokens.next(length(2n ** 64n - 1n));
  expect(() => tokens.readToken(NAR_MAX_TARGET_LENGTH)).toThrow(Problem);
});

test("bytes are skipped only if all of them are in the chunk, and no token has begun", () => {
  const bytes = narTokens("a", "b");
  const a = narTokens("a");
  const tokens = tokenizer();
  tokens.next(bytes.subarray(0, 31));
  expect(tokens.skip(narTokens("b"))).toBe(false);
  expect(tokens.offset).toBe(0);
  expect(tokens.skip(a)).toBe(true);
  expect(tokens.offset).toBe(16);
  expect(tokens.skip(narTokens("b"))).toBe(false);
  expect(tokens.readToken(MAX)).toBe(false);
  // The end of token b looks like eight zero bytes, but it belongs to a token that has begun.
  tokens.next(concatBytes([bytes.subarray(31), a]));
  expect(tokens.skip(Uint8Array.of(0))).toBe(false);
  expect(tokens.readToken(MAX)).toBe(true);
  expect(tokens.is(utf8("b"))).toBe(true);
  expect(tokens.skip(a)).toBe(true);
  expect([tokens.drained, tokens.offset]).toEqual([true, 48]);
});

test("raw bytes are views of the chunk, and a token's copy is not", () => {
  const chunk = narTokens("a");
  const tokens = tokenizer();
  tokens.next(chunk);
  tokens.readToken(MAX);
  const copy = tokens.copy();
  chunk[8] = 0;
  expect(copy).toEqual(utf8("a"));
  const raw = Uint8Array.of(1, 2, 3);
  tokens.next(raw);
  expect(tokens.take(2).buffer).toBe(raw.buffer);
  expect(tokens.take(2)).toEqual(Uint8Array.of(3));
  expect(tokens.take(2)).toEqual(new Uint8Array(0));
});
