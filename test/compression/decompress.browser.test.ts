import { expect, test } from "vitest";
import { concatBytes, toHex } from "../../src/bytes.ts";
import { decompressed } from "../../src/compression/decompress.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { iterate } from "../../src/stream.ts";

/** SHA-256 of `seq 1 25000`. */
const NUMBERS = "ea1a1773610d0161250bea9ada39805a89b51940d2d7e870ce0b72d54c41729b";

test.each(["numbers.gz", "several.bz2", "several.xz", "several.zst"])("%s is decompressed", async (name) => {
  const response = await fetch(new URL(`./samples/${name}`, import.meta.url));
  const read: Uint8Array[] = [];
  for await (const bytes of decompressed(iterate(response.body as ReadableStream<Uint8Array>))) read.push(bytes);
  expect(toHex(await hashBytes("sha256", concatBytes(read)))).toBe(NUMBERS);
});
