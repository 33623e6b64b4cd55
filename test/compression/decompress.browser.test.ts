import { beforeAll, describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8, toHex } from "../../src/bytes.ts";
import { provideBrotli } from "../../src/compression/brotli.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { iterate } from "../../src/stream.ts";
import { loadBrotli } from "../../src/worker/load-brotli.ts";
import { inputs, SINGLE, WITH_MEMBERS } from "./members.ts";

/** SHA-256 of the output of `seq 1 25000`. */
const NUMBERS = "ea1a1773610d0161250bea9ada39805a89b51940d2d7e870ce0b72d54c41729b";

const sample = (name: string): URL => new URL(`./samples/${name}`, import.meta.url);

beforeAll(() => provideBrotli(loadBrotli));

async function whole(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  for await (const bytes of source) read.push(bytes);
  return concatBytes(read);
}

// .gz and .br are missing here: for these files the server sends a Content-Encoding, and the
// browser decodes them.
test.each([
  ["several.bz2", "bzip2"],
  ["several.xz", "xz"],
  ["several.zst", "zstd"],
  ["numbers.lz4", "lz4"],
  ["several.lz", "lzip"],
  ["sized.lzma", "lzma"],
])("%s is decompressed", async (name, compression) => {
  const { body } = await fetch(sample(name));
  const read = await whole(decompressedAs(iterate(body as ReadableStream<Uint8Array>), compression));
  expect(toHex(await hashBytes("sha256", read))).toBe(NUMBERS);
});

test("16 MiB of zeros are decompressed from gzip", async () => {
  const { body } = await fetch(sample("zeros.gzip"));
  const read = await whole(decompressed(iterate(body as ReadableStream<Uint8Array>)));
  expect(read.length).toBe(16 * 1024 * 1024);
});

/** The same inputs give the same results in Node: see members.test.ts. */
describe.each([...WITH_MEMBERS, ...SINGLE])("%s", (compression) => {
  test("follows the rule for bytes after a member", async () => {
    const bytesOf = async (name: string): Promise<Uint8Array> =>
      new Uint8Array(await (await fetch(sample(`${compression}.${name}`))).arrayBuffer());
    const [one, two, nothing] = await Promise.all([bytesOf("one"), bytesOf("two"), bytesOf("nothing")]);
    const answers: Record<string, string | undefined> = {};
    const expected: Record<string, string | undefined> = {};
    for (const [name, { bytes, content }] of Object.entries(inputs(compression, { one, two, nothing }))) {
      const source = async function* (): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
      };
      answers[name] = await whole(decompressedAs(source(), compression)).then(decodeUtf8, (error: { code?: unknown }) =>
        error.code === "invalid" ? undefined : String(error),
      );
      expected[name] = content;
    }
    expect(answers).toEqual(expected);
  });
});

test("an unsupported compression is named", async () => {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(0x1f, 0x9d, 0x90, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  };
  await expect(whole(decompressed(source()))).rejects.toMatchObject({
    code: "invalid",
    message: expect.stringContaining("compress"),
  });
});
