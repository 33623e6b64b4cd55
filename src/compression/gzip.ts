import { Z_BUF_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit2, zlibInflateReset } from "pako";
import type { CompressedInput } from "./compressed-input.ts";

/** windowBits of zlib: 15 for the largest window, plus 16 for gzip's header and trailer. */
const GZIP_WINDOW = 15 + 16;
/** Maximum size of an output piece, in bytes. */
const PIECE = 256 * 1024;

/**
 * Makes a decoder that reads one member (RFC 1952) per call. The members of an input share its
 * memory, because there may be millions of them. The library checks the header, the CRC-32 and the
 * length. The platform's `DecompressionStream` would not do: it doesn't tell where a member ends,
 * and engines differ in the data that they allow after it.
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
