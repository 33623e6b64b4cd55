import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8 } from "../../src/bytes.ts";
import { type Compression, decompressed } from "../../src/compression/decompress.ts";
import { isSkippable, startsSkippable } from "../../src/compression/skippable-frame.ts";
import { pieces } from "../setup/pieces.ts";
import { ONE, sample, whole } from "./streams.ts";

/** The content, after the detected compression. */
async function found(bytes: Uint8Array, size = bytes.length): Promise<[Compression | undefined, string]> {
  let compression: Compression | undefined;
  const content = await whole(
    decompressed(pieces(bytes, size), undefined, (its) => {
      compression = its;
    }),
  );
  return [compression, decodeUtf8(content)];
}

const skip = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2);

test("frames have one of 16 magic numbers", () => {
  for (let low = 0; low < 16; low++) expect(isSkippable(0x184d2a50 + low)).toBe(true);
  for (const magic of [0x184d2a4f, 0x184d2a60, 0x184d2204, 0xfd2fb528, 0x984d2a50]) expect(isSkippable(magic)).toBe(false);
  expect([3, 4].map((length) => startsSkippable(skip.subarray(0, length)))).toEqual([false, true]);
});

describe("frames to be skipped at the start", () => {
  test.each(["lz4", "zstd"])("come before others of %s", async (compression) => {
    const bytes = await sample(`skip.${compression}`);
    for (const size of [1, 7, bytes.length]) expect(await found(bytes, size)).toEqual([compression, ONE]);
  });

  test("are all of the input", async () => {
    expect((await whole(decompressed(pieces(concatBytes([skip, skip]), 3)))).length).toBe(0);
  });

  test("are cut short", async () => {
    for (let length = 4; length < skip.length; length++)
      await expect(found(skip.subarray(0, length), 3)).rejects.toMatchObject({ code: "invalid" });
  });

  test("come before zeros, and before nothing else than zstd and lz4", async () => {
    expect(await found(concatBytes([skip, new Uint8Array(20), await sample("lz4.one")]))).toEqual(["lz4", ONE]);
    for (const name of ["gzip.one", "xz.one", "lzma.one"])
      await expect(found(concatBytes([skip, await sample(name)]))).rejects.toMatchObject({ code: "invalid" });
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
