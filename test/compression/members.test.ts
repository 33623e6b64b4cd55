import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8 } from "../../src/bytes.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";
import { pieces } from "../setup/pieces.ts";
import { sample } from "./streams.ts";
import "../../src/node/brotli.ts";
import { inputs, SINGLE, WITH_MEMBERS } from "./members.ts";

async function text(source: AsyncIterable<Uint8Array>): Promise<string> {
  const read: Uint8Array[] = [];
  for await (const bytes of source) read.push(bytes);
  return decodeUtf8(concatBytes(read));
}

describe.each([...WITH_MEMBERS, ...SINGLE])("%s", async (compression) => {
  const [one, two, nothing] = await Promise.all([
    sample(`${compression}.one`),
    sample(`${compression}.two`),
    sample(`${compression}.nothing`),
  ]);

  test.each(Object.entries(inputs(compression, { one, two, nothing })))("%s", async (_, { bytes, content }) => {
    for (const size of [1, 7, 1000, 100_000]) {
      if (size < 1000 && bytes.length > 10_000) continue;
      const read = text(decompressedAs(pieces(bytes, size), compression));
      if (content === undefined) await expect(read).rejects.toMatchObject({ code: "invalid" });
      else expect(await read).toBe(content);
    }
  });

  test.skipIf(compression === "br")("is recognised by its first bytes", async () => {
    expect(await text(decompressed(pieces(one, 1)))).toBe(await text(decompressedAs(pieces(one, 100), compression)));
  });
});
