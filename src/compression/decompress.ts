import { quote, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { ReserveOptions } from "../memory-budget.ts";
import type { Pace } from "../pace.ts";
import { unbrotli } from "./brotli.ts";
import { bzip2Decoder } from "./bzip2.ts";
import { CompressedInput } from "./compressed-input.ts";
import { gzipDecoder } from "./gzip.ts";
import { lz4Decoder } from "./lz4.ts";
import { lzipDecoder } from "./lzip.ts";
import { isLzmaHeader, unlzma } from "./lzma.ts";
import { skipFrame, startsSkippable } from "./skippable-frame.ts";
import { xzDecoder } from "./xz.ts";
import { zstdDecoder } from "./zstd.ts";

/** Supported compressions, and `none`. The names are those of NARInfo files. */
export const COMPRESSIONS = ["none", "gzip", "bzip2", "xz", "zstd", "br", "lz4", "lzma", "lzip"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface DecompressOptions {
  /**
   * Speed of the client that sends the data, if the program is a server. With it, decoding fails
   * with `unavailable` if the client is too slow while other requests wait for memory, or if this
   * request has waited for memory for four minutes: see `MemoryBudget`.
   */
  readonly pace?: Pace | undefined;
}

/**
 * Decodes the member that begins at the input's next byte. Takes no byte after the member's end.
 */
type DecodeMember = (input: CompressedInput) => AsyncIterable<Uint8Array>;

interface Format {
  /** Makes a decoder for the members of one input. */
  readonly decoder: () => DecodeMember;
  /** Whether several members may follow each other. */
  readonly hasMembers: boolean;
}

const FORMATS: Readonly<Record<Exclude<Compression, "none">, Format>> = {
  gzip: { decoder: gzipDecoder, hasMembers: true },
  bzip2: { decoder: bzip2Decoder, hasMembers: true },
  xz: { decoder: xzDecoder, hasMembers: true },
  zstd: { decoder: zstdDecoder, hasMembers: true },
  lz4: { decoder: lz4Decoder, hasMembers: true },
  lzip: { decoder: lzipDecoder, hasMembers: true },
  lzma: { decoder: () => unlzma, hasMembers: false },
  br: { decoder: () => unbrotli, hasMembers: false },
};

/**
 * The first bytes of each format, in hexadecimal. Formats outside `COMPRESSIONS` are refused by
 * name.
 */
const MAGIC: readonly { readonly compression: string; readonly magic: RegExp }[] = [
  { compression: "gzip", magic: /^1f8b08/ },
  { compression: "xz", magic: /^fd377a585a00/ },
  { compression: "zstd", magic: /^28b52ffd/ },
  // The magic and the mark of the first block or of the end. The first name of a tar may begin with
  // `BZh1`.
  { compression: "bzip2", magic: /^425a683[1-9](?:314159265359|177245385090)/ },
  // A frame, or a legacy frame.
  { compression: "lz4", magic: /^(?:04224d18|02214c18)/ },
  { compression: "lzip", magic: /^4c5a495001/ },
  { compression: "compress", magic: /^1f9d[89]./ },
  { compression: "lzop", magic: /^894c5a4f000d0a1a0a/ },
];

/** Length of a `.lzma` header in bytes, the longest of all. */
const MAGIC_LENGTH = 13;

/**
 * Yields the bytes of `archive`, decompressed if its first bytes are those of gzip, bzip2, xz,
 * zstd, lz4, lzip or lzma.
 *
 * All formats follow one rule, in every browser and in Node:
 *
 * - The input has one or more members (streams, frames), whose contents are joined. lzma and brotli
 *   have only one.
 * - Any number of zero bytes may follow a member.
 * - Any other byte after a member is an error. A damaged or truncated member is an error, too.
 *   Checksums and sizes are checked wherever the format has them.
 *
 * @param onFound called with the detected compression
 * @throws StoreError `invalid` if the compressed data is damaged, truncated or followed by other
 *   data, or if the compression is not supported
 */
export async function* decompressed(
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
  onFound?: (compression: Compression) => void,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  yield* decompressWith(archive, { signal, pace: options.pace }, async (input) => {
    // The first piece may be shorter.
    await input.has(MAGIC_LENGTH);
    const start = input.bytes.subarray(0, MAGIC_LENGTH);
    const found = startsSkippable(start) ? await sniffBehindSkippable(input) : parseCompression(sniff(start));
    onFound?.(found);
    return found;
  });
}

/**
 * Yields the bytes of `archive`, decompressed by the rule of `decompressed`.
 *
 * @param compression as a NARInfo names it; the empty text means none
 * @throws StoreError `invalid` as `decompressed`, `unavailable` if a decoder can't be loaded
 */
export async function* decompressedAs(
  archive: AsyncIterable<Uint8Array>,
  compression: string,
  signal?: AbortSignal,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const about = { signal, pace: options.pace };
  yield* decompressWith(archive, about, async () => parseCompression(compression));
}

/** @throws StoreError `invalid` for an unsupported compression */
export function parseCompression(text: string): Compression {
  const found = COMPRESSIONS.find((compression) => compression === (text || "none"));
  if (found === undefined)
    throw new StoreError("invalid", `the compression ${quote(text)} is not supported; use one of ${COMPRESSIONS.join(", ")}`);
  return found;
}

function sniff(start: Uint8Array): string {
  const hex = toHex(start);
  return MAGIC.find(({ magic }) => magic.test(hex))?.compression ?? (isLzmaHeader(start) ? "lzma" : "none");
}

/**
 * Skips the frames at the start that both zstd and lz4 skip. @returns which of them comes after. If
 * nothing does, the input has no content
 */
async function sniffBehindSkippable(input: CompressedInput): Promise<Compression> {
  while (startsSkippable(input.bytes)) {
    await skipFrame(input);
    if (!(await input.skipZeros())) return "none";
    await input.has(MAGIC_LENGTH);
  }
  return sniff(input.bytes.subarray(0, MAGIC_LENGTH)) === "lz4" ? "lz4" : "zstd";
}

async function* decompressWith(
  archive: AsyncIterable<Uint8Array>,
  about: ReserveOptions,
  choose: (input: CompressedInput) => Promise<Compression>,
): AsyncGenerator<Uint8Array> {
  const { signal } = about;
  const source = archive[Symbol.asyncIterator]();
  // Errors of the source are passed on unchanged; all other errors concern the compressed data.
  let failure: { readonly error: unknown } | undefined;
  let isOver = false;
  let isPending = false;
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    isPending = true;
    try {
      const result = await source.next();
      isOver ||= result.done === true;
      return result;
    } catch (error) {
      isOver = true;
      failure = { error };
      throw error;
    } finally {
      isPending = false;
    }
  };
  const input = new CompressedInput({ next }, about);
  let compression: Compression | undefined;
  try {
    try {
      compression = await choose(input);
      if (compression === "none") {
        for (let piece = await input.takeSome(); piece; piece = await input.takeSome()) yield piece;
        return;
      }
      for await (const bytes of members(FORMATS[compression], input)) {
        signal?.throwIfAborted();
        yield bytes;
        await input.turn();
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (failure) throw failure.error;
      if (error instanceof StoreError) throw error;
      const reason = error instanceof Error && error.message !== "" ? error.message : "it is damaged";
      throw new StoreError("invalid", `can't read the ${compression ?? "compressed"} data: ${reason}`, { cause: error });
    }
  } finally {
    input.end();
    // A source with a pending read ends when its next piece arrives.
    if (isPending) source.return?.().catch(() => {});
    else if (!isOver) await source.return?.();
  }
}

async function* members({ decoder, hasMembers }: Format, input: CompressedInput): AsyncGenerator<Uint8Array> {
  const decode = decoder();
  for (let hasMore = true; hasMore; ) {
    yield* decode(input);
    hasMore = await input.skipZeros();
    if (hasMore && !hasMembers) throw new Error("there is data after its end");
  }
}
