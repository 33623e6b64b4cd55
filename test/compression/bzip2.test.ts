import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { decompressedAs } from "../../src/compression/decompress.ts";
import { pieces } from "../setup/pieces.ts";
import { sample, whole } from "./streams.ts";

const read = async (bytes: Uint8Array, size = 1000) => whole(decompressedAs(pieces(bytes, size), "bzip2"));

test("runs of every length are read, in pieces of any size", async () => {
  const bytes = await sample("runs.bz2");
  const content = concatBytes(Array.from({ length: 600 }, (_, i) => new Uint8Array(i + 1).fill((i + 1) * 7)));
  for (const size of [1, 7, 1000, bytes.length]) expect(Buffer.compare(await read(bytes, size), content)).toBe(0);
});

test("16 MiB of zeros come in pieces of at most 256 KiB", async () => {
  const bytes = await sample("zeros.bzip2");
  let length = 0;
  for await (const piece of decompressedAs(pieces(bytes, 1000), "bzip2")) {
    expect(piece.length).toBeLessThanOrEqual(256 * 1024);
    length += piece.length;
  }
  expect(length).toBe(16 * 1024 * 1024);
});

describe("a text says why a stream is refused:", () => {
  const refused = async (at: number, bits: number, message: RegExp) => {
    const bytes = await sample("runs.bz2");
    const index = at < 0 ? bytes.length + at : at;
    bytes[index] = (bytes[index] as number) ^ bits;
    await expect(read(bytes)).rejects.toMatchObject({ code: "invalid", message: expect.stringMatching(message) });
  };

  test.each<[string, number, number, RegExp]>([
    ["another magic", 1, 1, /not a bzip2 stream/],
    ["the level 0", 3, 1, /not a bzip2 stream/],
    ["another mark of a block", 6, 1, /damaged/],
    ["another checksum of a block", 10, 1, /checksum of a block/],
    ["a randomized block", 14, 0x80, /randomized/],
    ["an origin outside of the block", 14, 0x40, /damaged/],
    ["another checksum of the stream", -3, 1, /checksum of a stream/],
  ])("%s", (_, at, bits, message) => refused(at, bits, message));
});

test("a stream that is cut anywhere is refused", async () => {
  const bytes = await sample("runs.bz2");
  for (let length = 0; length < bytes.length; length += 61)
    await expect(read(bytes.subarray(0, length))).rejects.toMatchObject({ code: "invalid" });
});
