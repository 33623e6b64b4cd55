/** The decoders that are compared, in any runtime. */

import { Decompress } from "fzstd";
import xz from "xz-decompress";
import { decompressedAs } from "../../../src/compression/decompress.ts";
import { streamOf } from "../../../src/stream.ts";
import { OURS } from "../bench.ts";

/** The formats, as NARInfo files name them. */
export const COMPRESSED = ["gzip", "bzip2", "xz", "zstd", "br", "lz4"] as const;
export type Compressed = (typeof COMPRESSED)[number];

export interface Decoder {
  readonly name: string;
  /** Decodes a whole file, and returns the length of its content. */
  decode(bytes: Uint8Array): number | Promise<number>;
}

export type Decoders = Readonly<Record<Compressed, readonly Decoder[]>>;

/** Length in bytes of the pieces in which a file comes, as from a network. */
const PIECE = 64 * 1024;

function* pieces(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE) as Uint8Array<ArrayBuffer>;
}

async function* asyncPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield* pieces(bytes);
}

async function lengthOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  const reader = stream.getReader();
  let length = 0;
  for (let result = await reader.read(); !result.done; result = await reader.read()) length += result.value.length;
  return length;
}

function ours(compression: Compressed): Decoder {
  return {
    name: OURS,
    async decode(bytes) {
      let length = 0;
      for await (const piece of decompressedAs(asyncPieces(bytes), compression)) length += piece.length;
      return length;
    },
  };
}

/** The decoder of the platform's streams. */
const decompressionStream: Decoder = {
  name: "DecompressionStream",
  decode: (bytes) => lengthOf(streamOf(asyncPieces(bytes)).pipeThrough(new DecompressionStream("gzip"))),
};

const xzDecompress: Decoder = {
  name: "xz-decompress",
  decode: (bytes) => lengthOf(new xz.XzReadableStream(streamOf(asyncPieces(bytes)))),
};

const fzstd: Decoder = {
  name: "fzstd",
  decode(bytes) {
    let length = 0;
    const stream = new Decompress((piece) => {
      length += piece.length;
    });
    for (const piece of pieces(bytes)) stream.push(piece);
    stream.push(new Uint8Array(0), true);
    return length;
  },
};

/** The used part of the streams of `unbzip2-stream`. */
interface Unbzip2 {
  on(event: "data", listener: (bytes: Uint8Array) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(event: "end", listener: () => void): this;
  write(bytes: Uint8Array): unknown;
  end(): unknown;
}

/** @param create makes a stream; the package has one build for Node and one for pages */
export function unbzip2(create: () => Unbzip2): Decoder {
  return {
    name: "unbzip2-stream",
    decode: (bytes) =>
      new Promise((resolve, reject) => {
        let length = 0;
        const stream = create()
          .on("data", (piece) => {
            length += piece.length;
          })
          .on("error", reject)
          .on("end", () => resolve(length));
        for (const piece of pieces(bytes)) stream.write(piece);
        stream.end();
      }),
  };
}

/** @param further decoders of one runtime */
export function decodersWith(further: Partial<Decoders>): Decoders {
  const peers: Partial<Decoders> = { gzip: [decompressionStream], xz: [xzDecompress], zstd: [fzstd] };
  return Object.fromEntries(
    COMPRESSED.map((compression) => [
      compression,
      [ours(compression), ...(peers[compression] ?? []), ...(further[compression] ?? [])],
    ]),
  ) as unknown as Decoders;
}
