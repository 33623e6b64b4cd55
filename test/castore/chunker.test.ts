import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { cutAll } from "../../src/castore/chunker.ts";
import { pseudoRandom } from "../conformance/content.ts";

/**
 * Chunk lengths that the Rust crate fastcdc 3.1.0 gives. Each input can be made from its
 * description.
 */
const vectors: { input: string; lengths: number[] }[] = JSON.parse(
  await readFile(new URL("fastcdc-v2020.json", import.meta.url), "utf8"),
);

function input(description: string): Uint8Array {
  const random = /^xorshift32 seed (\d+) length (\d+)$/.exec(description);
  if (random) return pseudoRandom(Number(random[2]), Number(random[1]));
  if (description.startsWith("zeros")) return new Uint8Array(3_000_000);
  if (description.startsWith("byte i mod 251")) return Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
  if (description.startsWith("the same with 1024 bytes")) {
    const original = pseudoRandom(8_000_000, 7);
    return concatBytes([original.subarray(0, 100_000), pseudoRandom(1024, 9), original.subarray(100_000)]);
  }
  throw new Error(`no input for ${description}`);
}

describe("FastCDC 2020", () => {
  test.each(vectors)("$input", ({ input: description, lengths }) => {
    const bytes = input(description);
    expect(cutAll(bytes).map((chunk) => chunk.length)).toEqual(lengths);
  });
});
