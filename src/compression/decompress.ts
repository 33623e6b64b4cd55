import { quote, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { unbrotli } from "./brotli.ts";
import { bzip2Decoder } from "./bzip2.ts";
import { CompressedInput } from "./compressed-input.ts";
import type { DecoderInput } from "./decoder-memory.ts";
import { gzipDecoder } from "./gzip.ts";
import { lz4Decoder } from "./lz4.ts";
import { lzipDecoder } from "./lzip.ts";
import { isLzmaHeader, unlzma } from "./lzma.ts";
import { unxz } from "./xz.ts";
import { zstdDecoder } from "./zstd.ts";

/** The compressions that can be read, and `none`. The names are those of NARInfo files. */
export const COMPRESSIONS = ["none", "gzip", "bzip2", "xz", "zstd", "br", "lz4", "lzma", "lzip"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export interface DecompressOptions {
  /**
   * Whether a server's client sends the data, at its own speed. Such data is refused
   * (`unavailable`) if others wait for memory, and it comes too slowly or has waited for a minute:
   * see `DecoderMemory`.
   */
  readonly isUpload?: boolean | undefined;
}

/** Decodes the member that begins at the input's next byte, and takes no byte after its end. */
type DecodeMember = (input: CompressedInput) => AsyncIterable<Uint8Array>;

interface Format {
  /** Makes a decoder for the members of one input. */
  readonly decoder: () => DecodeMember;
  /** Whether a member may follow another. */
  readonly hasMembers: boolean;
}

const FORMATS: Readonly<Record<Exclude<Compression, "none">, Format>> = {
  gzip: { decoder: gzipDecoder, hasMembers: true },
  bzip2: { decoder: bzip2Decoder, hasMembers: true },
  xz: { decoder: () => unxz, hasMembers: true },
  zstd: { decoder: zstdDecoder, hasMembers: true },
  lz4: { decoder: lz4Decoder, hasMembers: true },
  lzip: { decoder: lzipDecoder, hasMembers: true },
  lzma: { decoder: () => unlzma, hasMembers: false },
  br: { decoder: () => unbrotli, hasMembers: false },
};

/**
 * The first bytes of each format, in hexadecimal. Formats that are not in `COMPRESSIONS` are
 * refused by name.
 */
const MAGIC: readonly { readonly compression: string; readonly magic: RegExp }[] = [
  { compression: "gzip", magic: /^1f8b08/ },
  { compression: "xz", magic: /^fd377a585a00/ },
  // A frame, or a skippable frame.
  { compression: "zstd", magic: /^(?:28b52ffd|5.2a4d18)/ },
  // The magic and the mark of the first block or of the end. The first name of a tar may begin with
  // `BZh1`.
  { compression: "bzip2", magic: /^425a683[1-9](?:314159265359|177245385090)/ },
  { compression: "lz4", magic: /^04224d18/ },
  { compression: "lzip", magic: /^4c5a495001/ },
  { compression: "compress", magic: /^1f9d[89]./ },
  { compression: "lzop", magic: /^894c5a4f000d0a1a0a/ },
];

/** Length of a `.lzma` header, the longest of all, in bytes. */
const MAGIC_LENGTH = 13;

/**
 * Yields the bytes of `archive`, decompressed if its first bytes are those of gzip, bzip2, xz,
 * zstd, lz4, lzip or lzma.
 *
 * All formats follow one rule, in every browser and in Node:
 *
 * - The input has one member (stream, frame) or more. Their contents are joined. lzma and brotli
 * have only one.
 * - Any number of zero bytes may follow a member.
 * - Any other byte after a member is an error, and so is a member that is damaged or cut short.
 *   Checksums and sizes are checked wherever the format has them.
 *
 * @param onFound called with the compression that was found
 * @throws StoreError `invalid` if the compressed data is damaged, cut short, or followed by
 *   something else; or compressed in a way that can't be read here
 */
export async function* decompressed(
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
  onFound?: (compression: Compression) => void,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  yield* decompressWith(archive, { signal, isUpload: options.isUpload ?? false }, async (input) => {
    // A first piece may be shorter.
    await input.has(MAGIC_LENGTH);
    const found = parseCompression(sniff(input.bytes.subarray(0, MAGIC_LENGTH)));
    onFound?.(found);
    return found;
  });
}

/**
 * Yields the bytes of `archive`, decompressed. The rule is that of `decompressed`.
 *
 * @param compression as a NARInfo names it; empty is none
 * @throws StoreError `invalid` as `decompressed`, `unavailable` if a decoder can't be loaded
 */
export async function* decompressedAs(
  archive: AsyncIterable<Uint8Array>,
  compression: string,
  signal?: AbortSignal,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const about = { signal, isUpload: options.isUpload ?? false };
  yield* decompressWith(archive, about, async () => parseCompression(compression));
}

/** @throws StoreError `invalid` for one that can't be read here */
export function parseCompression(text: string): Compression {
  const found = COMPRESSIONS.find((compression) => compression === (text || "none"));
  if (found === undefined)
    throw new StoreError("invalid", `the compression ${quote(text)} can't be read here; use one of ${COMPRESSIONS.join(", ")}`);
  return found;
}

function sniff(start: Uint8Array): string {
  const hex = toHex(start);
  return MAGIC.find(({ magic }) => magic.test(hex))?.compression ?? (isLzmaHeader(start) ? "lzma" : "none");
}

async function* decompressWith(
  archive: AsyncIterable<Uint8Array>,
  about: DecoderInput,
  choose: (input: CompressedInput) => Promise<Compression>,
): AsyncGenerator<Uint8Array> {
  const { signal } = about;
  const source = archive[Symbol.asyncIterator]();
  // Errors of the source come out as they are; the others are about the compressed data.
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
  try {
    const compression = await choose(input);
    if (compression === "none") {
      for (let piece = await input.takeSome(); piece; piece = await input.takeSome()) yield piece;
      return;
    }
    try {
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
      throw new StoreError("invalid", `can't read the ${compression} data: ${reason}`, { cause: error });
    }
  } finally {
    input.release();
    // A source that is still waited for ends when its next piece comes.
    if (isPending) source.return?.().catch(() => {});
    else if (!isOver) await source.return?.();
  }
}

async function* members({ decoder, hasMembers }: Format, input: CompressedInput): AsyncGenerator<Uint8Array> {
  const decode = decoder();
  for (let hasMore = true; hasMore; ) {
    yield* decode(input);
    hasMore = await input.skipZeros();
    if (hasMore && !hasMembers) throw new Error("there is more after its end");
  }
}
