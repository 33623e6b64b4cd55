import { concatBytes, EMPTY_BYTES, quote, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { iterate, streamOf } from "../stream.ts";

/** Formats that an archive may come in, by their first bytes in hexadecimal; those that can't be read are known, so that the error can say so. */
const FORMATS: readonly { name: string; magic: RegExp; readable?: CompressionFormat }[] = [
  { name: "gzip", magic: /^1f8b08/, readable: "gzip" },
  { name: "xz", magic: /^fd377a585a00/ },
  { name: "zstd", magic: /^28b52ffd/ },
  // As far as the mark of its first block, or of its end: a tar may well begin with a name like `BZh1`.
  { name: "bzip2", magic: /^425a683[1-9](?:314159265359|177245385090)/ },
];

/** The longest of them. */
const MAGIC_LENGTH = 10;

type CompressionFormat = "gzip";

/**
 * The bytes of `archive`, decompressed if it is compressed.
 *
 * @throws StoreError `invalid` if the compressed data is damaged, or compressed in a way that can't be read here
 */
export async function* decompressed(archive: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const source = archive[Symbol.asyncIterator]();
  // A first piece may be shorter than the magic bytes.
  let head: Uint8Array = EMPTY_BYTES;
  while (head.length < MAGIC_LENGTH) {
    const { value, done } = await source.next();
    if (done) break;
    head = concatBytes([head, value]);
  }
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    if (head.length > 0) yield head;
    // The iterator went on from `head`; leaving the loop ends it.
    for await (const bytes of { [Symbol.asyncIterator]: () => source }) yield bytes;
  };
  const start = toHex(head.subarray(0, MAGIC_LENGTH));
  const format = FORMATS.find(({ magic }) => magic.test(start));
  if (!format) {
    yield* rest();
    return;
  }
  if (!format.readable) {
    await source.return?.();
    throw new StoreError("invalid", `the archive is compressed with ${format.name}, which can't be read here; gzip can`);
  }
  yield* decompressedBy(format.name, format.readable, rest(), signal);
}

/** What a binary cache's NARInfo calls them. */
const COMPRESSIONS: Readonly<Record<string, CompressionFormat | "none">> = { none: "none", "": "none", gzip: "gzip" };

/**
 * The bytes of `archive`, which is compressed as somebody said: `none`, `gzip`.
 *
 * @throws StoreError `invalid` if the compressed data is damaged, or compressed in a way that can't be read here
 */
export async function* decompressedAs(
  archive: AsyncIterable<Uint8Array>,
  compression: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const format = Object.hasOwn(COMPRESSIONS, compression) ? COMPRESSIONS[compression] : undefined;
  if (format === undefined)
    throw new StoreError("invalid", `the archive is compressed with ${quote(compression)}, which can't be read here`);
  if (format === "none") yield* archive;
  else yield* decompressedBy(compression, format, archive, signal);
}

async function* decompressedBy(
  name: string,
  format: CompressionFormat,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  // Errors of the source come out as they are; the others are about the compressed data.
  let sourceError: { error: unknown } | undefined;
  const watched = async function* (): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    try {
      for await (const bytes of archive) yield bytes as Uint8Array<ArrayBuffer>;
    } catch (error) {
      sourceError = { error };
      throw error;
    }
  };
  try {
    yield* iterate(streamOf(watched()).pipeThrough(new DecompressionStream(format)), signal);
  } catch (error) {
    if (sourceError) throw sourceError.error;
    if (signal?.aborted) throw signal.reason;
    throw new StoreError("invalid", `the ${name} data is damaged or cut short`, { cause: error });
  }
}
