import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { concatBytes } from "../../../src/bytes.ts";
import { xzStored } from "../../../src/node/binary-cache/xz-stored.ts";
import { pseudoRandom } from "../../conformance/content.ts";

async function stored(pieces: readonly Uint8Array[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of xzStored(
    (async function* () {
      yield* pieces;
    })(),
  ))
    parts.push(part);
  return concatBytes(parts);
}

// The lengths are around the maximum of a chunk, and give each padding of block and index.
test.each<[string, number[]]>([
  ["nothing", []],
  ["an empty piece", [0]],
  ["one byte", [1]],
  ["pieces of two and three bytes", [2, 3]],
  ["an empty piece before others", [0, 4, 0, 5]],
  ["one chunk", [65_536]],
  ["one chunk and a byte", [65_537]],
  ["many chunks", [200_000, 1, 300_000]],
])("the program xz reads %s", async (_, sizes) => {
  const pieces = sizes.map((size, i) => pseudoRandom(size, i));
  const input = await stored(pieces);
  execFileSync("xz", ["-t"], { input });
  expect(execFileSync("xz", ["-dc"], { input }).equals(Buffer.concat(pieces))).toBe(true);
});
