import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { concatBytes } from "../../../src/bytes.ts";
import { COMPRESSIONS } from "../../../src/compression/decompress.ts";
import { compressedAs, isWritten } from "../../../src/node/binary-cache/encode.ts";
import { pseudoRandom } from "../../conformance/content.ts";
import { whole } from "../test-cache.ts";

const KIB = 1024;

async function* piecesOf(sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const [i, size] of sizes.entries()) yield pseudoRandom(size, i);
}

describe.each([
  ["none", ["cat"]],
  ["gzip", ["gzip", "-dc"]],
  ["zstd", ["zstd", "-dcq"]],
  ["xz", ["xz", "-dc"]],
] as const)("%s", (compression, [program, ...args]) => {
  test.each<[string, number[]]>([
    ["nothing", []],
    ["an empty piece", [0]],
    ["small pieces", [1, 2, 3]],
    ["more than a frame of zstd", [512 * KIB, 1]],
    ["pieces across frames", [300 * KIB, 300 * KIB, 700 * KIB]],
  ])("its program reads %s", async (_, sizes) => {
    const input = await whole(compressedAs(piecesOf(sizes), compression));
    const expected = concatBytes(sizes.map((size, i) => pseudoRandom(size, i)));
    expect(execFileSync(program, args, { input, maxBuffer: 4096 * KIB }).equals(expected)).toBe(true);
  });

  test("an error of the content ends the stream with this error", async () => {
    const failure = new Error("the content broke");
    const broken = async function* () {
      yield pseudoRandom(1000, 1);
      throw failure;
    };
    await expect(whole(compressedAs(broken(), compression))).rejects.toBe(failure);
  });
});

test("other formats are not written", async () => {
  expect(COMPRESSIONS.filter(isWritten)).toEqual(expect.arrayContaining(["none", "gzip", "zstd", "xz"]));
  const others = COMPRESSIONS.filter((compression) => !isWritten(compression));
  expect(others.length).toBeGreaterThan(3);
  for (const other of others)
    await expect(whole(compressedAs(piecesOf([1]), other))).rejects.toMatchObject({ name: "StoreError", code: "internal" });
});
