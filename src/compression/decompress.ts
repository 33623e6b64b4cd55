import { quote, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { iterate, streamOf } from "../stream.ts";
import { unbzip2 } from "./bzip2.ts";
import { CompressedInput } from "./compressed-input.ts";
import { unxz } from "./xz.ts";
import { unzstd } from "./zstd.ts";

/** As a NARInfo names them; `none` too. */
export const COMPRESSIONS = ["none", "gzip", "bzip2", "xz", "zstd"] as const;
export type Compression = (typeof COMPRESSIONS)[number];

type Decompressor = (input: CompressedInput, signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;

const DECOMPRESSORS: Readonly<Record<Exclude<Compression, "none">, Decompressor>> = {
  gzip: gunzip,
  bzip2: unbzip2,
  xz: unxz,
  zstd: unzstd,
};

/** First bytes, in hexadecimal. */
const MAGIC: readonly { compression: Exclude<Compression, "none">; magic: RegExp }[] = [
  { compression: "gzip", magic: /^1f8b08/ },
  { compression: "xz", magic: /^fd377a585a00/ },
  // A frame, or one that is to be skipped.
  { compression: "zstd", magic: /^(?:28b52ffd|5.2a4d18)/ },
  // As far as the mark of its first block, or of its end: a tar may well begin with a name like `BZh1`.
  { compression: "bzip2", magic: /^425a683[1-9](?:314159265359|177245385090)/ },
];

/** The longest of them. */
const MAGIC_LENGTH = 10;

/** What the inflater of a browser is given at once: it may come to a thousand times as much, which is kept. */
const GZIP_PIECE = 16 * 1024;

/**
 * The bytes of `archive`, decompressed if it is compressed with gzip, bzip2, xz or zstd, which its first bytes tell.
 *
 * @param onFound is told how it was compressed
 * @throws StoreError `invalid` if the compressed data is damaged
 */
export async function* decompressed(
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
  onFound?: (compression: Compression) => void,
): AsyncGenerator<Uint8Array> {
  yield* decompressWith(archive, signal, async (input) => {
    // A first piece may be shorter.
    await input.has(MAGIC_LENGTH);
    const start = toHex(input.bytes.subarray(0, MAGIC_LENGTH));
    const found = MAGIC.find(({ magic }) => magic.test(start))?.compression ?? "none";
    onFound?.(found);
    return found;
  });
}

/**
 * The bytes of `archive`, which is compressed as somebody said.
 *
 * @param compression as a NARInfo names it; empty is none
 * @throws StoreError `invalid` if the compressed data is damaged, or compressed in a way that can't be read here
 */
export async function* decompressedAs(
  archive: AsyncIterable<Uint8Array>,
  compression: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield* decompressWith(archive, signal, async () => parseCompression(compression));
}

/** @throws StoreError `invalid` for one that can't be read here */
export function parseCompression(text: string): Compression {
  const found = COMPRESSIONS.find((compression) => compression === (text || "none"));
  if (found === undefined) throw new StoreError("invalid", `compressed with ${quote(text)}, which can't be read here`);
  return found;
}

async function* decompressWith(
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  choose: (input: CompressedInput) => Promise<Compression>,
): AsyncGenerator<Uint8Array> {
  const source = archive[Symbol.asyncIterator]();
  // Errors of the source come out as they are; the others are about the compressed data.
  let failure: { readonly error: unknown } | undefined;
  let isOver = false;
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    try {
      const result = await source.next();
      isOver ||= result.done === true;
      return result;
    } catch (error) {
      isOver = true;
      failure = { error };
      throw error;
    }
  };
  const input = new CompressedInput({ next }, signal);
  try {
    const compression = await choose(input);
    if (compression === "none") {
      for (let piece = await input.takeSome(); piece; piece = await input.takeSome()) yield piece;
      return;
    }
    try {
      for await (const bytes of DECOMPRESSORS[compression](input, signal)) {
        signal?.throwIfAborted();
        yield bytes;
        await input.turn();
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (failure) throw failure.error;
      throw new StoreError("invalid", `the ${compression} data is damaged or cut short`, { cause: error });
    }
  } finally {
    if (!isOver) await source.return?.();
  }
}

async function* gunzip(input: CompressedInput, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const pieces = async function* (): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    while (await input.has(1)) yield input.take(Math.min(input.bytes.length, GZIP_PIECE)) as Uint8Array<ArrayBuffer>;
  };
  yield* iterate(streamOf(pieces()).pipeThrough(new DecompressionStream("gzip")), signal);
}
