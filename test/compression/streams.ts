import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { concatBytes } from "../../src/bytes.ts";
import { CompressedInput } from "../../src/compression/compressed-input.ts";
import { pieces } from "../setup/pieces.ts";

/** Reads a sample that make-samples.sh made. */
export async function sample(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(join(import.meta.dirname, "samples", name)));
}

/** Reads a sample that make-xz-samples.sh made. */
export async function xzSample(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(join(import.meta.dirname, "xz-samples", name)));
}

/** Joins all pieces. */
export async function whole(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  for await (const bytes of source) read.push(bytes);
  return concatBytes(read);
}

/** Makes the input of a decoder, which comes in pieces of `size` bytes. */
export function inputOf(bytes: Uint8Array, size: number = Math.max(1, bytes.length)): CompressedInput {
  return new CompressedInput(pieces(bytes, size), {});
}

/** Text of `samples/*.one` and `samples/*.two`: see make-samples.sh. */
const lines = (from: number, to: number): string => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");
export const ONE: string = lines(1, 150);
export const TWO: string = lines(151, 300);
