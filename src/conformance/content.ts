import { concatBytes } from "../bytes.ts";
import { iterate } from "../stream.ts";

/** Content for tests. It is the same in every runtime and doesn't compress. */

export function pseudoRandom(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 255;
  }
  return bytes;
}

/** Reads a whole stream. Doesn't use `Response`, which replaces every error by one of its own. */
export async function readAll(stream: ReadableStream<Uint8Array> | undefined): Promise<Uint8Array | undefined> {
  if (!stream) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of iterate(stream)) parts.push(part);
  return concatBytes(parts);
}
