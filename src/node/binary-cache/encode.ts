import { pipeline, Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { concatBytes } from "../../bytes.ts";
import type { Compression } from "../../compression/decompress.ts";
import { StoreError } from "../../error.ts";
import { compressZstd } from "../zstd.ts";
import { xzStored } from "./xz-stored.ts";

/**
 * Bytes in one zstd frame. Larger frames compress little better, and compression blocks the thread.
 */
const ZSTD_FRAME = 512 * 1024;

/** Whether `compressedAs` writes this format. */
export function isWritten(compression: Compression): boolean {
  return WRITTEN.has(compression);
}

const WRITTEN: ReadonlySet<Compression> = new Set(["none", "gzip", "xz", "zstd"]);

/**
 * Compresses `bytes`, for speed rather than size. xz output is not compressed at all: xz
 * compression is slower than any network.
 *
 * @throws StoreError `internal` if the daemon can't write the format
 */
export async function* compressedAs(bytes: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Uint8Array> {
  switch (compression) {
    case "none":
      yield* bytes;
      return;
    case "gzip":
      // `pipeline` passes an error on either side to both sides, and the loop throws it.
      yield* pipeline(Readable.from(bytes, { objectMode: false }), createGzip({ level: 1 }), () => {});
      return;
    case "zstd":
      for await (const piece of gathered(bytes, ZSTD_FRAME)) yield compressZstd(piece);
      return;
    case "xz":
      yield* xzStored(bytes);
      return;
    default:
      throw new StoreError("internal", `the daemon can't compress with ${compression}`);
  }
}

/**
 * Joins `bytes` into pieces of about `size` bytes; the last one may be shorter. Yields one empty
 * piece if there are no bytes at all.
 */
async function* gathered(bytes: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let isEmpty = true;
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + size - length);
      parts.push(part);
      at += part.length;
      length += part.length;
      if (length < size) continue;
      yield concatBytes(parts);
      isEmpty = false;
      parts = [];
      length = 0;
    }
  }
  if (length > 0 || isEmpty) yield concatBytes(parts);
}
