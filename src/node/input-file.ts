import type { Readable } from "node:stream";
import { concatBytes, decodeUtf8Strict } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { fileError } from "./file-error.ts";

/**
 * The bytes of a file, or of what comes on standard input, that is read as a whole.
 *
 * @throws StoreError `invalid` for more than `maxLength` bytes, `not-found`, `denied`, `unavailable`
 */
export async function readBytes(stream: Readable, name: string, maxLength: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of filePieces(stream, name)) {
    size += part.length;
    if (size > maxLength) throw new StoreError("invalid", `${name} has more than ${maxLength} bytes`);
    parts.push(part);
  }
  return concatBytes(parts);
}

/** Likewise of text. @throws StoreError `invalid` for what is not UTF-8, too */
export async function readText(stream: Readable, name: string, maxLength: number): Promise<string> {
  const text = decodeUtf8Strict(await readBytes(stream, name, maxLength));
  if (text === undefined) throw new StoreError("invalid", `${name} is not UTF-8`);
  return text;
}

/** A file as it comes. @throws StoreError `not-found`, `denied`, `unavailable` */
export async function* filePieces(stream: Readable, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of stream) {
      if (!(part instanceof Uint8Array)) throw new StoreError("invalid", `${name} does not give bytes`);
      yield part;
    }
  } catch (error) {
    throw fileError(error, `can't read ${name}`);
  }
}
