import { Z_BUF_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2, zlibInflateReset } from "pako";
import type { CompressedInput } from "./compressed-input.ts";

/** windowBits of zlib: 15 for the largest window, and 16 for the header and trailer of gzip. */
const GZIP_WINDOW = 15 + 16;
/** Longest output piece, in bytes. */
const PIECE = 256 * 1024;

/**
 * Makes a decoder of members of RFC 1952, one a call. The members of an input share its memory:
 * there may be millions of members. The library checks the header, the CRC-32 and the length. The
 * platform's `DecompressionStream` doesn't tell where a member ends, and engines differ in what
 * they let follow it.
 */
export function gzipDecoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  let stream: ZStream | undefined;
  return async function* (input) {
    if (stream) zlibInflateReset(stream);
    else {
      stream = new ZStream();
      zlibInflateInit2(stream, GZIP_WINDOW);
      stream.output = new Uint8Array(PIECE);
    }
    yield* member(input, stream);
  };
}

async function* member(input: CompressedInput, stream: ZStream): AsyncGenerator<Uint8Array> {
  let status: number = Z_OK;
  while (status !== Z_STREAM_END) {
    stream.next_out = 0;
    stream.avail_out = PIECE;
    while (stream.avail_out > 0 && status !== Z_STREAM_END) {
      await input.need(1);
      const { bytes } = input;
      stream.input = bytes;
      stream.next_in = 0;
      stream.avail_in = bytes.length;
      status = zlibInflate(stream, Z_NO_FLUSH);
      input.take(stream.next_in);
      if (status !== Z_OK && status !== Z_STREAM_END && status !== Z_BUF_ERROR) throw new Error(stream.msg);
    }
    if (stream.next_out > 0) yield stream.output.slice(0, stream.next_out);
  }
}
