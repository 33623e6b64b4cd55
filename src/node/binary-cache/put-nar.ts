import type { BlobWriter } from "../../castore/blob-service.ts";
import { type Compression, decompressed, decompressedAs } from "../../compression/decompress.ts";
import { StoreError } from "../../error.ts";
import type { HashEngine, HashStream } from "../../hash/engine.ts";
import { encodeNixbase32 } from "../../nix/nixbase32.ts";
import { ingestNar } from "../../store/import.ts";
import type { StoreServices } from "../../store/services.ts";
import type { StoredBlob, UploadedNar } from "./uploads.ts";

/** How the end of a name says how a NAR is compressed. Nix has none for gzip: what has none is looked at. */
const SUFFIXES: Readonly<Record<string, Compression>> = { ".xz": "xz", ".zst": "zstd", ".gz": "gzip", ".bz2": "bzip2" };

const NAR_NAME = /^([0-9abcdfghijklmnpqrsvwxyz]{52})\.nar(\.(?:xz|zst|gz|bz2))?$/;

/** The hash and the compression that a NAR's name says; `undefined` for what is no such name. */
export function parseNarName(name: string): { fileHash: string; compression: Compression | undefined } | undefined {
  const [, fileHash, suffix] = NAR_NAME.exec(name) ?? [];
  if (fileHash === undefined) return undefined;
  return { fileHash, compression: suffix === undefined ? undefined : SUFFIXES[suffix] };
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
  const file = new ReceivedFile(await engine.stream("sha256"));
  let found: Compression | undefined = compression;
  try {
    if (compression === "bzip2") file.keep(await store.blobs.create({ signal }));
    const bytes = file.pass(body);
    const nar =
      compression === undefined
        ? decompressed(bytes, signal, (actual) => {
            found = actual;
          })
        : decompressedAs(bytes, compression, signal);
    const { node, narHash, narSize } = await ingestNar(store, engine, nar, { signal });
    // A decompressor may have left something.
    const actual = encodeNixbase32(await file.hash());
    if (actual !== fileHash) throw new StoreError("invalid", `what was sent has the SHA-256 ${actual}, not ${fileHash}`);
    const kept = await file.close();
    return { node, narHash, narSize, compression: found ?? "none", ...(kept && { file: kept }) };
  } catch (error) {
    await file.abort(error);
    throw error;
  }
}

/** The bytes as they come: hashed, and where they are kept, written. */
class ReceivedFile {
  readonly #hash: HashStream;
  #writer: BlobWriter | undefined;

  constructor(hash: HashStream) {
    this.#hash = hash;
  }

  keep(writer: BlobWriter): void {
    this.#writer = writer;
  }

  async *pass(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      await this.#hash.update(piece);
      await this.#writer?.write(piece);
      yield piece;
    }
  }

  async hash(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  async close(): Promise<StoredBlob | undefined> {
    return this.#writer?.close();
  }

  async abort(reason: unknown): Promise<void> {
    this.#hash.abort();
    await this.#writer?.abort(reason);
  }
}
