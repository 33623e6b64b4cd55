import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { HashPartEraser, hashModulo } from "../../src/store/hash-modulo.ts";
import { engine, failure } from "./fixtures.ts";

const PART = "avg1fxjqq4204vygxpmga47mcnfkp7wz";
const TEXT = `${PART}${PART}a${PART.slice(0, 31)}${PART}zz${PART.slice(1)}`;
const ERASED = `${"\0".repeat(64)}a${PART.slice(0, 31)}${"\0".repeat(32)}zz${PART.slice(1)}`;
const OFFSETS = [0, 32, 96];

const sha256 = (text: string | Uint8Array) => new Uint8Array(createHash("sha256").update(text).digest());

/** Makes content in pieces. Counts how often it is opened. */
function content(text: string, length: number) {
  const bytes = utf8(text);
  const opened = { count: 0 };
  const open = async function* (): AsyncGenerator<Uint8Array> {
    opened.count++;
    for (let i = 0; i < bytes.length; i += length) yield bytes.subarray(i, i + length);
  };
  return { bytes, open, opened };
}

describe.each([1, 2, 31, 32, 33, 1000])("in pieces of %i bytes", (length) => {
  test("each self-reference is found and replaced by zeros", async () => {
    const { bytes, open } = content(TEXT, length);
    const eraser = new HashPartEraser(PART);
    const out: Uint8Array[] = [];
    const offsets: number[] = [];
    for await (const piece of open()) {
      const erased = eraser.push(piece);
      out.push(erased.bytes.slice());
      offsets.push(...erased.offsets);
    }
    expect(new TextDecoder().decode(concatBytes([...out, eraser.end()]))).toBe(ERASED);
    expect(offsets).toEqual(OFFSETS);
    expect(bytes).toEqual(utf8(TEXT));
  });

  test("the digest covers the offsets, unless the digest without offsets is expected", async () => {
    const modulus = { algorithm: "sha256", hashPart: PART } as const;
    const withOffsets = sha256(ERASED + OFFSETS.map((offset) => `|${offset}`).join(""));
    const { open, opened } = content(TEXT, length);
    expect(await hashModulo(engine, open, modulus)).toEqual(withOffsets);
    expect(await hashModulo(engine, open, { ...modulus, expected: withOffsets })).toEqual(withOffsets);
    expect(await hashModulo(engine, open, { ...modulus, expected: sha256("x") })).toEqual(withOffsets);
    expect(opened.count).toBe(6);
    expect(await hashModulo(engine, open, { ...modulus, expected: sha256(ERASED) })).toEqual(sha256(ERASED));
    expect(opened.count).toBe(7);
  });

  test("content without self-references is read once", async () => {
    const { open, opened } = content("nothing", length);
    expect(await hashModulo(engine, open, { algorithm: "sha256", hashPart: PART })).toEqual(sha256("nothing"));
    expect(opened.count).toBe(1);
  });
});

test("overlapping occurrences of a hash part are found from the left, as by Nix", () => {
  const eraser = new HashPartEraser("a".repeat(32));
  const { bytes, offsets } = eraser.push(utf8("a".repeat(70)));
  expect(offsets).toEqual([0, 32]);
  expect(concatBytes([bytes, eraser.end()])).toEqual(utf8(`${"\0".repeat(64)}${"a".repeat(6)}`));
});

describe("64 MiB of nothing but self-references", () => {
  const piece = utf8(PART.repeat(2048));
  const PIECES = 1024;
  const open = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < PIECES; i++) yield piece;
  };

  test("are hashed in bounded memory, and other tasks run meanwhile", async () => {
    const used = () => {
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const before = used();
    let most = 0;
    let turns = 0;
    const timer = setInterval(() => {
      turns++;
      most = Math.max(most, used());
    }, 1);
    const digest = await hashModulo(engine, open, { algorithm: "sha256", hashPart: PART });
    clearInterval(timer);
    const expected = createHash("sha256");
    for (let i = 0; i < PIECES; i++) expected.update(new Uint8Array(piece.length));
    for (let i = 0; i < PIECES; i++) expected.update(Array.from({ length: 2048 }, (_, j) => `|${(i * 2048 + j) * 32}`).join(""));
    expect(digest).toEqual(new Uint8Array(expected.digest()));
    expect(turns).toBeGreaterThan(2);
    expect(most - before).toBeLessThan(128 * 1024 * 1024);
  });

  test("can be aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 1);
    let read = 0;
    const aborted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const bytes of open()) {
        controller.signal.throwIfAborted();
        read++;
        yield bytes;
      }
    };
    expect(await failure(hashModulo(engine, aborted, { algorithm: "sha256", hashPart: PART }))).toBe(reason);
    expect(read).toBeLessThan(PIECES);
  });
});
