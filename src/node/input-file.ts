import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { concatBytes, decodeUtf8Strict } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { fileError } from "./file-error.ts";

/**
 * Reads a whole file, or the whole standard input.
 *
 * @param name name of the file, for messages
 * @throws StoreError `invalid` if it has more than `maxLength` bytes; `not-found`, `denied` or
 *   `unavailable` if it can't be read
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

/**
 * Reads a whole file as text.
 *
 * @throws StoreError as `readBytes`; also `invalid` if the text is not UTF-8
 */
export async function readText(stream: Readable, name: string, maxLength: number): Promise<string> {
  const text = decodeUtf8Strict(await readBytes(stream, name, maxLength));
  if (text === undefined) throw new StoreError("invalid", `${name} is not UTF-8`);
  return text;
}

/**
 * Yields the bytes of a file as they are read.
 *
 * @throws StoreError `not-found`, `denied` or `unavailable` if it can't be read
 */
export async function* filePieces(stream: Readable, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of stream) {
      if (!(part instanceof Uint8Array)) throw new StoreError("invalid", `${name} does not yield bytes`);
      yield part;
    }
  } catch (error) {
    throw fileError(error, `can't read ${name}`);
  }
}

/**
 * Yields the bytes of the file at `path`. Opens the file on the first read: until then, nothing
 * handles the stream's errors, and nothing closes the file if its reader fails before.
 *
 * @param options.pieceSize maximum size of a piece, in bytes; 64 KiB by default
 * @throws StoreError as `filePieces`
 */
export async function* pathPieces(path: string, options: { pieceSize?: number } = {}): AsyncGenerator<Uint8Array> {
  yield* filePieces(createReadStream(path, { highWaterMark: options.pieceSize }), path);
}
