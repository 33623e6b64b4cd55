import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { concatBytes, viewOf } from "../../src/bytes.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { pieces } from "../setup/pieces.ts";
import { XZ_SAMPLES } from "./xz-samples.ts";

/** Made by make-xz-samples.sh. */
const sample = async (name: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(join(import.meta.dirname, "xz-samples", name)));

async function sha256(source: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of source) hash.update(bytes);
  return hash.digest("hex");
}

const refused = (bytes: Uint8Array, message: RegExp) =>
  expect(sha256(decompressedAs(pieces(bytes, 1000), "xz"))).rejects.toMatchObject({
    code: "invalid",
    message: expect.stringMatching(message),
  });

/** Changes bytes of a header, whose CRC-32 follows its content. */
function changed(bytes: Uint8Array, header: { from: number; to: number }, changes: Record<number, number>): Uint8Array {
  const copy = bytes.slice();
  for (const [at, byte] of Object.entries(changes)) copy[Number(at)] = byte;
  viewOf(copy).setUint32(header.to, crc32(copy.subarray(header.from, header.to)), true);
  return copy;
}

const STREAM = { from: 6, to: 8 };
/** The first block's header, if it has LZMA2 alone and no sizes. */
const BLOCK = { from: 12, to: 20 };

describe.each(Object.entries(XZ_SAMPLES).flatMap(([hash, names]) => names.map((name) => ({ name, hash }))))(
  "$name",
  ({ name, hash }) => {
    test("is read, in pieces of any size", async () => {
      const bytes = await sample(name);
      for (const size of [1, 7, 1000, bytes.length]) expect(await sha256(decompressed(pieces(bytes, size)))).toBe(hash);
      expect(await sha256(decompressed(pieces(concatBytes([bytes, new Uint8Array(5)]), 1000)))).toBe(hash);
    });

    test("is refused when it is cut short or a byte is another, or gives the same as before", async () => {
      const bytes = await sample(name);
      for (let i = 0; i < 40; i++) {
        const cut = bytes.subarray(0, Math.floor((i * bytes.length) / 40));
        // The first of two streams is a whole input.
        if (name !== "both.xz") await refused(cut, /./);
        const damaged = bytes.slice();
        const at = Math.floor((i * bytes.length) / 40);
        damaged[at] = (damaged[at] as number) ^ 0x10;
        const read = await sha256(decompressedAs(pieces(damaged, 4096), "xz")).catch((error: unknown) => error);
        if (typeof read === "string") {
          // Nothing says that the content is another.
          if (name !== "none.xz") expect(read).toBe(hash);
        } else expect(read).toMatchObject({ code: "invalid" });
      }
    });
  },
);

test("matches from the far end of a dictionary of 128 MiB are read", async () => {
  const hash = await sha256(decompressed(pieces(await sample("far.xz"), 1000)));
  expect(hash).toBe("1ab2e296df563bd02664660d1d1ed71bb03180afa70f0f23b391bd3a2a7954fc");
}, 60_000);

describe("a text says why it is refused:", () => {
  test("a dictionary of 192 MiB", async () => {
    await refused(await sample("dictionary-192.xz"), /wants 201326592 bytes of memory, of which 134217728 are allowed/);
  });

  test.each([
    ["a check that is not known", { 7: 2 }, STREAM, /check 2/],
    ["a flag of the stream that is not known", { 6: 1 }, STREAM, /flags/],
    ["a filter that is not known", { 14: 0x22 }, BLOCK, /filter 34/],
    ["a filter for machine code at the end", { 14: 4, 15: 0, 16: 0 }, BLOCK, /filter 4/],
    ["a dictionary of no known size", { 16: 41 }, BLOCK, /dictionary/],
    ["a flag of the block that is not known", { 13: 4 }, BLOCK, /flags/],
    ["padding of a header that isn't zeros", { 19: 1 }, BLOCK, /flags/],
    ["properties that are longer than the header", { 15: 200 }, BLOCK, /damaged/],
  ])("%s", async (_, changes, header, message) => {
    await refused(changed(await sample("sha256.xz"), header, changes), message);
  });

  test("an index of another stream", async () => {
    const [one, other] = [await sample("properties.xz"), await sample("dictionary-96.xz")];
    const tail = (bytes: Uint8Array) => bytes.length - 12 - (viewOf(bytes).getUint32(bytes.length - 8, true) + 1) * 4;
    await refused(concatBytes([one.subarray(0, tail(one)), other.subarray(tail(other))]), /index/);
    // Twice the same block.
    const block = one.subarray(12, tail(one));
    await refused(concatBytes([one.subarray(0, 12), block, block, one.subarray(tail(one))]), /index/);
  });
});

describe.each(["properties.xz", "dictionary-96.xz"])("chunks of LZMA2 in %s", (name) => {
  /** The first chunk's control byte, after the headers of the stream and the block. */
  const CONTROL = 24;

  test.each([
    ["the first byte of the range coder is not zero", CONTROL + 6, 1],
    ["the first chunk resets nothing", CONTROL, 0x80],
    ["the first chunk resets the state alone", CONTROL, 0xa0],
    ["the first chunk has no dictionary", CONTROL, 0xc0],
    ["the first chunk is stored, without a dictionary", CONTROL, 2],
    ["a control byte is not known", CONTROL, 3],
    ["the properties are too large", CONTROL + 5, 225],
    ["lc and lp are more than four", CONTROL + 5, 4 + 9],
    ["the content is shorter", CONTROL + 2, 0],
  ])("are refused if %s", async (_, at, byte) => {
    const bytes = await sample(name);
    bytes[at] = byte;
    await refused(bytes, /./);
  });
});

test("filters hold no more than a few bytes back", async () => {
  const bytes = await sample("chain.xz");
  let given = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces(bytes, 100)) {
      given += piece.length;
      yield piece;
    }
  };
  let length = 0;
  for await (const piece of decompressedAs(source(), "xz")) {
    length += piece.length;
    // A block has 777 bytes, of which a header, the check and a piece may be ahead.
    expect(given - length).toBeLessThan(700);
  }
  expect(length).toBe(3200);
});
