import { pipeline, Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { concatBytes } from "../../bytes.ts";
import type { Compression } from "../../compression/decompress.ts";
import { StoreError } from "../../error.ts";
import { compressZstd } from "../zstd.ts";
import { xzStored } from "./xz-stored.ts";

/** Bytes that become a frame of zstd: more gain little, and nothing else is done meanwhile. */
const ZSTD_FRAME = 512 * 1024;

/** Whether `compressedAs` writes this format. */
export function isWritten(compression: Compression): boolean {
  return WRITTEN.has(compression);
}

const WRITTEN: ReadonlySet<Compression> = new Set(["none", "gzip", "xz", "zstd"]);

/**
 * The same bytes, compressed quickly rather than well. xz has them as they are: making it small takes longer than any network.
 *
 * @throws StoreError `internal` for a format that nothing here writes
 */
export async function* compressedAs(bytes: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Uint8Array> {
  switch (compression) {
    case "none":
      yield* bytes;
      return;
    case "gzip":
      // An error on either side ends both, and comes out of the loop.
      yield* pipeline(Readable.from(bytes, { objectMode: false }), createGzip({ level: 1 }), () => {});
      return;
    case "zstd":
      for await (const piece of gathered(bytes, ZSTD_FRAME)) yield compressZstd(piece);
      return;
    case "xz":
      yield* xzStored(bytes);
      return;
    default:
      throw new StoreError("internal", `${compression} is not written here`);
  }
}

/** The same bytes in pieces of about `size`, and one at the end that may be shorter; an empty one if there are none at all. */
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
