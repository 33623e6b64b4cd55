import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { concatBytes } from "../../src/bytes.ts";

/** Reads a sample that make-samples.sh made. */
export async function sample(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(join(import.meta.dirname, "samples", name)));
}

/** Joins all pieces. */
export async function whole(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  for await (const bytes of source) read.push(bytes);
  return concatBytes(read);
}
