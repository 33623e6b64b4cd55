import type { BlobWriter } from "../../castore/blob-service.ts";
import { COMPRESSIONS, type Compression, decompressed, decompressedAs } from "../../compression/decompress.ts";
import { StoreError } from "../../error.ts";
import type { HashEngine, HashStream } from "../../hash/engine.ts";
import { NAR_MAGIC, narTokens } from "../../nix/nar-grammar.ts";
import { encodeNixbase32 } from "../../nix/nixbase32.ts";
import { ingestNar } from "../../store/import.ts";
import type { StoreServices } from "../../store/services.ts";
import { isWritten } from "./encode.ts";
import type { StoredBlob, UploadedNar } from "./uploads.ts";

/**
 * How the end of a NAR's name says how it is compressed. Nix itself writes `.lzip`, and no suffix for gzip and lzma, so a NAR without one is
 * recognised by its first bytes.
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

/** Suffixes that are read here, for an answer that refuses another one. */
export const NAR_SUFFIXES: readonly string[] = Object.keys(SUFFIXES).filter((suffix) => compressionOf(suffix));

const NAR_NAME = /^([0-9abcdfghijklmnpqrsvwxyz]{52})\.nar(\.[a-z0-9]+)?$/;

/** The hash and the compression that a NAR's name says; `undefined` for a name of another form, or with a suffix that is not read here. */
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

/**
 * Reads a NAR as it was uploaded, into castore.
 *
 * @param fileHash SHA-256 of `body`, in nixbase32
 * @param compression if it is known
 * @throws StoreError `invalid` for what is no NAR, or has another hash; then nothing refers to what was written
 */
export async function receiveNar(
  store: StoreServices,
  engine: HashEngine,
  body: AsyncIterable<Uint8Array>,
  { fileHash, compression, signal }: { fileHash: string; compression: Compression | undefined; signal: AbortSignal },
): Promise<UploadedNar> {
  const file = new ReceivedFile(await engine.stream("sha256"), () => store.blobs.create({ signal }));
  let found: Compression = "none";
  const onFound = (actual: Compression): void => {
    found = actual;
    file.decide(!isWritten(actual));
  };
  try {
    const bytes = file.pass(body);
    if (compression !== undefined) onFound(compression);
    const nar = compression === undefined ? decompressed(bytes, signal, onFound) : decompressedAs(bytes, compression, signal);
    const { node, narHash, narSize } = await ingestNar(store, engine, recognised(nar), { signal });
    // A decompressor may have left something.
    const actual = encodeNixbase32(await file.hash());
    if (actual !== fileHash) throw new StoreError("invalid", `what was sent has the SHA-256 ${actual}, not ${fileHash}`);
    const kept = await file.close();
    return { node, narHash, narSize, compression: found, ...(kept && { file: kept }) };
  } catch (error) {
    await file.abort(error);
    throw error;
  }
}

/** First bytes of every NAR. */
const NAR_START = narTokens(NAR_MAGIC);

/** The bytes of a NAR. What is no NAR from its first bytes on may be one that is compressed in a way that is not known here. */
async function* recognised(nar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of nar) {
    for (let i = 0; i < piece.length && at < NAR_START.length; i++, at++)
      if (piece[i] !== NAR_START[at])
        throw new StoreError("invalid", `what was sent is neither a NAR nor compressed with ${READABLE}`);
    yield piece;
  }
}

const READABLE = COMPRESSIONS.filter((name) => name !== "none").join(", ");

/** Hashes the bytes as they come and, if the same bytes can't be made again, keeps them. */
class ReceivedFile {
  readonly #hash: HashStream;
  readonly #create: () => Promise<BlobWriter>;
  /** What came before it was decided whether the bytes are kept: the first piece as a rule. */
  #undecided: Uint8Array[] = [];
  #isKept: boolean | undefined;
  #writer: BlobWriter | undefined;

  constructor(hash: HashStream, create: () => Promise<BlobWriter>) {
    this.#hash = hash;
    this.#create = create;
  }

  /** Whether the bytes are kept. To be called once. */
  decide(isKept: boolean): void {
    this.#isKept = isKept;
    if (!isKept) this.#undecided = [];
  }

  async *pass(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      await this.#hash.update(piece);
      if (this.#isKept !== false) this.#undecided.push(piece);
      if (this.#isKept) await this.#writeUndecided();
      yield piece;
    }
  }

  async hash(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  async close(): Promise<StoredBlob | undefined> {
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
