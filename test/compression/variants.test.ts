import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8, utf8 } from "../../src/bytes.ts";
import { type Compression, decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { pieces } from "../setup/pieces.ts";
import { expectAtMost } from "../setup/processor-time.ts";
import { sample, whole } from "./streams.ts";

const lines = (from: number, to: number): string => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");
const ONE = lines(1, 150);
const TWO = lines(151, 300);

/** The content, after what the first bytes were taken for. */
async function found(bytes: Uint8Array, size = bytes.length): Promise<[Compression | undefined, string]> {
  let compression: Compression | undefined;
  const content = await whole(
    decompressed(pieces(bytes, size), undefined, (its) => {
      compression = its;
    }),
  );
  return [compression, decodeUtf8(content)];
}

const invalid = { code: "invalid" };

describe("variants of a format", () => {
  test.each<[string, Compression, string]>([
    ["legacy.lz4", "lz4", ONE],
    ["mixed.lz4", "lz4", ONE + TWO + ONE + TWO],
    ["skip.lz4", "lz4", ONE],
    ["skip.zstd", "zstd", ONE],
    ["lc-4-lp-0-pb-0.lzma", "lzma", ONE],
    ["lc-1-lp-2-pb-3.lzma", "lzma", ONE],
    ["lc-0-lp-4-pb-4.lzma", "lzma", ONE],
    ["lc-0-lp-0-pb-0-dict-96MiB.lzma", "lzma", ONE],
  ])("%s is %s", async (name, compression, content) => {
    const bytes = await sample(name);
    for (const size of [1, 7, bytes.length]) expect(await found(bytes, size)).toEqual([compression, content]);
    expect(decodeUtf8(await whole(decompressedAs(pieces(bytes, 100), compression)))).toBe(content);
  });
});

describe("a legacy frame of lz4", () => {
  test("has several blocks", async () => {
    const content = await whole(decompressed(pieces(await sample("blocks-legacy.lz4"), 1000)));
    expect(content.length).toBe(8 * 1024 * 1024 + 10);
    expect(content.every((byte) => byte === 0)).toBe(true);
  });

  test("may be followed by zeros, and by another frame after them", async () => {
    const [legacy, two] = [await sample("legacy.lz4"), await sample("lz4.two")];
    for (const count of [1, 2, 3, 4, 5, 512])
      for (const [after, content] of [
        [new Uint8Array(0), ONE],
        [two, ONE + TWO],
        [legacy, ONE + ONE],
      ] as const)
        expect(await found(concatBytes([legacy, new Uint8Array(count), after]))).toEqual(["lz4", content]);
  });

  test("is refused when it is cut short, or with something else after it", async () => {
    const bytes = await sample("legacy.lz4");
    for (const length of [bytes.length - 1, bytes.length - 100, 9, 7])
      await expect(found(bytes.subarray(0, length))).rejects.toMatchObject(invalid);
    for (const after of ["\n", "something else"])
      await expect(found(concatBytes([bytes, utf8(after)]))).rejects.toMatchObject(invalid);
  });
});

describe("frames to be skipped at the start", () => {
  const skip = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2);

  test("are all of the input", async () => {
    expect((await whole(decompressed(pieces(concatBytes([skip, skip]), 3)))).length).toBe(0);
  });

  test("are cut short", async () => {
    for (let length = 4; length < skip.length; length++)
      await expect(found(skip.subarray(0, length), 3)).rejects.toMatchObject(invalid);
  });

  test("come before zeros, and before nothing else than zstd and lz4", async () => {
    expect(await found(concatBytes([skip, new Uint8Array(20), await sample("lz4.one")]))).toEqual(["lz4", ONE]);
    for (const name of ["gzip.one", "xz.one", "lzma.one"])
      await expect(found(concatBytes([skip, await sample(name)]))).rejects.toMatchObject(invalid);
  });

  test("are not all held in memory", async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0x20);
      const piece = new Uint8Array(1024 * 1024);
      for (let i = 0; i < 512; i++) yield piece;
      yield await sample("lz4.one");
    };
    const before = process.memoryUsage().arrayBuffers;
    expect(decodeUtf8(await whole(decompressed(source())))).toBe(ONE);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  });
});

test.each(["lzma.one", "lc-4-lp-0-pb-0.lzma"])("%s is refused if the range coder's first byte is not zero", async (name) => {
  const bytes = await sample(name);
  bytes[13] = 1;
  await expect(found(bytes)).rejects.toMatchObject(invalid);
});

test.each(["patch.zst", "dictionary.zst"])("%s is refused: it refers to bytes before its content", async (name) => {
  await expect(found(await sample(name))).rejects.toMatchObject(invalid);
});

test("stored blocks of zstd of one byte take no longer in a window of 128 MiB", async () => {
  const inWindow = async (exponent: number): Promise<void> => {
    const frame = concatBytes([
      Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3),
      ...Array<Uint8Array>(50_000).fill(Uint8Array.of(0x08, 0, 0, 0x41)),
      Uint8Array.of(1, 0, 0),
    ]);
    expect((await whole(decompressed(pieces(frame, 1000)))).length).toBe(50_000);
  };
  // Moving a window for each block takes hours.
  await expectAtMost(
    10,
    () => inWindow(0),
    () => inWindow(17),
  );
});
