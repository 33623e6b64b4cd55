import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { concatBytes, viewOf } from "../../src/bytes.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { parseBlockHeader } from "../../src/compression/xz-headers.ts";
import { pieces } from "../setup/pieces.ts";
import { xzSample } from "./streams.ts";
import { XZ_SAMPLES } from "./xz-samples.ts";

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
      const bytes = await xzSample(name);
      for (const size of [1, 7, 1000, bytes.length]) expect(await sha256(decompressed(pieces(bytes, size)))).toBe(hash);
      expect(await sha256(decompressed(pieces(concatBytes([bytes, new Uint8Array(5)]), 1000)))).toBe(hash);
    });

    test("is refused when it is cut short or a byte is another, or gives the same as before", async () => {
      const bytes = await xzSample(name);
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
  const hash = await sha256(decompressed(pieces(await xzSample("far.xz"), 1000)));
  expect(hash).toBe("1ab2e296df563bd02664660d1d1ed71bb03180afa70f0f23b391bd3a2a7954fc");
}, 60_000);

test("a dictionary of 192 MiB is refused", async () => {
  await refused(await xzSample("dictionary-192.xz"), /wants 201326592 bytes of memory, of which 134217728 are allowed/);
});

describe("a header whose checksum is right", () => {
  test.each([
    ["a check that is not known", { 7: 2 }, STREAM, /check 2/],
    ["a filter that is not known", { 14: 0x22 }, BLOCK, /filter 34/],
    ["a flag of the block that is not known", { 13: 4 }, BLOCK, /flags/],
  ])("is refused with %s", async (_, changes, header, message) => {
    await refused(changed(await xzSample("sha256.xz"), header, changes), message);
  });
});

describe("a block is refused if", () => {
  // The header of the first block has the compressed size in two bytes, and the size in three.
  test.each([
    ["it has more content than its header says", { 16: 0xcf }, /more content/],
    ["it has less content than its header says", { 16: 0xd1 }, /another size/],
    ["its compressed size is another", { 14: 0xfe }, /another size/],
  ])("%s", async (_, changes, message) => {
    const bytes = await xzSample("sizes.xz");
    expect([...bytes.subarray(12, 19)]).toEqual([3, 0xc0, 0xff, 0x19, 0xd0, 0x86, 3]);
    await refused(changed(bytes, { from: 12, to: 24 }, changes), message);
  });

  test("its padding or its check is another", async () => {
    const bytes = await xzSample("sizes.xz");
    const header = parseBlockHeader(bytes.subarray(12, 28), crc32);
    const end = 28 + (header.compressedSize ?? 0);
    const padding = -end & 3;
    expect(padding).toBeGreaterThan(0);
    for (const [at, message] of [
      [end, /padding/],
      [end + padding - 1, /padding/],
      [end + padding, /another check/],
      [end + padding + 7, /another check/],
    ] as const) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ 1;
      await refused(damaged, message);
    }
  });
});

test("a stream is refused if its end has another check or another size of the index", async () => {
  const bytes = await xzSample("sha256.xz");
  const [footer, flags] = [bytes.length - 12, bytes.length - 4];
  const withFooter = (changes: Record<number, number>) => {
    const copy = bytes.slice();
    for (const [at, byte] of Object.entries(changes)) copy[Number(at)] = byte;
    viewOf(copy).setUint32(footer, crc32(copy.subarray(footer + 4, footer + 10)), true);
    return copy;
  };
  expect(await sha256(decompressedAs(pieces(withFooter({}), 1000), "xz"))).toMatch(/^ea1a/);
  await refused(withFooter({ [flags + 1]: 1 }), /end is damaged/);
  await refused(withFooter({ [footer + 4]: (bytes[footer + 4] as number) + 1 }), /end is damaged/);
});

test("filters hold no more than a few bytes back", async () => {
  const bytes = await xzSample("chain.xz");
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
