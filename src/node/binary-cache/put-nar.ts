import type { BlobWriter } from "../../castore/blob-service.ts";
import { COMPRESSIONS, type Compression, decompressed, decompressedAs } from "../../compression/decompress.ts";
import { StoreError } from "../../error.ts";
import type { HashEngine, HashStream } from "../../hash/engine.ts";
import { parseHash } from "../../nix/hash.ts";
import { NAR_MAGIC, narTokens } from "../../nix/nar-grammar.ts";
import { encodeNixbase32 } from "../../nix/nixbase32.ts";
import type { Pace } from "../../pace.ts";
import { ingestNar } from "../../store/import.ts";
import type { StoreServices } from "../../store/services.ts";
import { isWritten } from "./encode.ts";
import type { UploadedBlob, UploadedNar } from "./uploads.ts";

/**
 * Compression of each suffix of a NAR's name. Nix writes `.lzip`, and no suffix for gzip and lzma.
 * The compression of a NAR without a suffix is detected from its first bytes.
 */
const SUFFIXES: Readonly<Record<string, string>> = {
  ".xz": "xz",
  ".zst": "zstd",
  ".gz": "gzip",
  ".bz2": "bzip2",
  ".br": "br",
  ".lz4": "lz4",
  ".lzip": "lzip",
  ".lz": "lzip",
  ".lzma": "lzma",
};

/** Suffixes that are accepted. */
export const NAR_SUFFIXES: readonly string[] = Object.keys(SUFFIXES).filter((suffix) => compressionOf(suffix));

const NAR_NAME = /^([0-9abcdfghijklmnpqrsvwxyz]{52})\.nar(\.[a-z0-9]+)?$/;

/**
 * Parses the hash and the compression in a NAR's name.
 *
 * @returns `undefined` if the name has another form, or a suffix that is not accepted
 */
export function parseNarName(name: string): { fileHash: string; compression: Compression | undefined } | undefined {
  const [, fileHash, suffix] = NAR_NAME.exec(name) ?? [];
  if (fileHash === undefined) return undefined;
  if (suffix === undefined) return { fileHash, compression: undefined };
  const compression = compressionOf(suffix);
  return compression && { fileHash, compression };
}

function compressionOf(suffix: string): Compression | undefined {
  return COMPRESSIONS.find((compression) => compression === SUFFIXES[suffix]);
}

export interface ReceiveNarOptions {
  /** Expected SHA-256 of the body, in nixbase32. */
  readonly fileHash: string;
  /** Compression of the body; detected if `undefined`. */
  readonly compression: Compression | undefined;
  /** Maximum size of the uncompressed NAR, in bytes. */
  readonly maxNarSize: number;
  readonly signal: AbortSignal;
  /** Speed of the client that sends the body. */
  readonly pace: Pace;
}

/**
 * Stores an uploaded NAR in castore.
 *
 * @throws StoreError `invalid` if the body is not a NAR, is too large, or has another hash; then
 *   nothing refers to the content that was written
 */
export async function receiveNar(
  store: StoreServices,
  engine: HashEngine,
  body: AsyncIterable<Uint8Array>,
  { fileHash, compression, maxNarSize, signal, pace }: ReceiveNarOptions,
): Promise<UploadedNar> {
  const file = new ReceivedFile(await engine.stream("sha256"), () => store.blobs.create({ signal }));
  let found: Compression = "none";
  const onFound = (actual: Compression): void => {
    found = actual;
    file.decide({ isKept: !isWritten(actual), isHashed: actual !== "none" });
  };
  try {
    const bytes = file.pass(body);
    if (compression !== undefined) onFound(compression);
    const nar =
      compression === undefined
        ? decompressed(bytes, signal, onFound, { pace })
        : decompressedAs(bytes, compression, signal, { pace });
    const { node, narHash, narSize } = await ingestNar(store, engine, bounded(recognised(nar), file, maxNarSize), { signal });
    // An uncompressed file is the NAR, whose hash is known. A decompressor may not have read the
    // file to its end.
    const actual = encodeNixbase32(found === "none" ? parseHash(narHash).digest : await file.hash());
    if (actual !== fileHash) throw new StoreError("invalid", `the uploaded file has the SHA-256 ${actual}, not ${fileHash}`);
    const kept = await file.close();
    return { node, narHash, narSize, compression: found, ...(kept && { file: kept }) };
  } catch (error) {
    await file.abort(error);
    throw error;
  }
}

/** First bytes of every NAR. */
const NAR_START = narTokens(NAR_MAGIC);

/**
 * Passes a NAR on, and throws if it doesn't begin like one. Such a body is probably compressed in
 * an unknown format.
 */
async function* recognised(nar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of nar) {
    for (let i = 0; i < piece.length && at < NAR_START.length; i++, at++)
      if (piece[i] !== NAR_START[at]) throw new StoreError("invalid", `the body is neither a NAR nor compressed with ${READABLE}`);
    yield piece;
  }
}

/**
 * Maximum ratio of a NAR's size to its file's size. A few kilobytes must not keep the daemon busy
 * for minutes. A NAR of zeros may be refused, too.
 */
const MAX_RATIO = 1000;
/** Size of a NAR from which the ratio is checked, in bytes. */
const RATIO_COUNTS_FROM = 256 * 1024 * 1024;

/**
 * Passes a NAR on.
 *
 * @throws StoreError `invalid` if it has more than `maxSize` bytes, or too many for its file
 */
async function* bounded(nar: AsyncIterable<Uint8Array>, file: ReceivedFile, maxSize: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of nar) {
    size += piece.length;
    if (size > maxSize)
      throw new StoreError("invalid", `the NAR has more than ${maxSize} bytes, which is too large for this cache`);
    if (size > RATIO_COUNTS_FROM && size > MAX_RATIO * file.size)
      throw new StoreError("invalid", `the NAR is more than ${MAX_RATIO} times as large as the uploaded file`);
    yield piece;
  }
}

const READABLE = COMPRESSIONS.filter((name) => name !== "none").join(", ");

/**
 * Hashes the uploaded file while it passes, unless the import hashes the same bytes. Keeps its
 * bytes if the daemon can't write their format.
 */
class ReceivedFile {
  /** Number of bytes that have passed. */
  size = 0;
  readonly #hash: HashStream;
  readonly #create: () => Promise<BlobWriter>;
  /** Pieces that arrived before `decide`: usually only the first one. */
  #undecided: Uint8Array[] = [];
  #isKept: boolean | undefined;
  #isHashed = true;
  #writer: BlobWriter | undefined;

  constructor(hash: HashStream, create: () => Promise<BlobWriter>) {
    this.#hash = hash;
    this.#create = create;
  }

  /** Sets whether to keep the bytes and whether to hash them. Call it once. */
  decide({ isKept, isHashed }: { isKept: boolean; isHashed: boolean }): void {
    this.#isKept = isKept;
    this.#isHashed = isHashed;
    if (!isHashed) this.#hash.abort();
    if (!isKept) this.#undecided = [];
  }

  async *pass(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.size += piece.length;
      if (this.#isHashed) await this.#hash.update(piece);
      if (this.#isKept !== false) this.#undecided.push(piece);
      if (this.#isKept) await this.#writeUndecided();
      yield piece;
    }
  }

  async hash(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  async close(): Promise<UploadedBlob | undefined> {
    if (!this.#isKept) return undefined;
    return (await this.#writeUndecided()).close();
  }

  async abort(reason: unknown): Promise<void> {
    this.#hash.abort();
    await this.#writer?.abort(reason);
  }

  async #writeUndecided(): Promise<BlobWriter> {
    this.#writer ??= await this.#create();
    for (const piece of this.#undecided.splice(0)) await this.#writer.write(piece);
    return this.#writer;
  }
}
