import type { BlobUploader } from "../castore/blob-uploader.ts";
import { fileEntry } from "../castore/file-entry.ts";
import { type IngestionEntries, ingest } from "../castore/ingest.ts";
import { narEntries } from "../castore/nar-entries.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { HashEngine, HashStream } from "../hash/engine.ts";
import { formatContentAddress } from "../nix/content-address.ts";
import { formatSri } from "../nix/hash.ts";
import { type NarInfo, parseNarInfo } from "../nix/narinfo.ts";
import { formatStorePath, parseHashPart, parseStorePath } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { type Addressing, addressedNode, addressedPathInfo, type CheckedAddressing, checkAddressing } from "./addressing.ts";
import { checkContentAddress, checkContentAddressPath } from "./content-address-check.ts";
import { calculateNar, type NarSizeAndHash, narSize } from "./nar.ts";
import { pathInfoFromNarInfo } from "./nar-info.ts";
import type { PathInfo } from "./path-info.ts";
import { checkNarSizeAndHash } from "./path-info-check.ts";
import { checkSameContent } from "./path-info-merge.ts";
import type { StoreServices } from "./services.ts";

export type ImportOptions = OperationOptions;

export interface ReadOptions {
  /**
   * Called with the buffer of each piece of the source that isn't needed any more. Whoever gives it says that each piece begins a buffer
   * that is nobody else's.
   */
  reuse?: ((buffer: ArrayBuffer) => void) | undefined;
}

/** How the NAR's content gets its store path, or a NARInfo file that says what path the NAR is. */
export type ImportNarOptions = ImportOptions &
  ReadOptions &
  (
    | (Addressing & { readonly narInfo?: undefined })
    | {
        readonly narInfo: string;
        /** Of those who wrote it; `/nix/store` if not given. */
        readonly storeDir?: string | undefined;
        readonly name?: undefined;
      }
  );

/**
 * Imports what `entries` yields (it gives files' contents to the uploader) and publishes it under the store path that
 * Nix gives the same tree: with a name alone, `nix-store --add`. Progress: whatever `entries` tells of its reading, then `hashing`, in bytes.
 *
 * Until it resolves nothing is visible. When it fails, content that was written stays as garbage, and `entries` is returned.
 *
 * @throws StoreError `invalid` and `not-found` for what `checkAddressing` refuses, before anything is read; `invalid` for what breaks castore's
 *   rules, and for what is no file where only a file has a content address
 */
export async function importEntries(
  store: StoreServices,
  engine: HashEngine,
  entries: (uploader: BlobUploader) => IngestionEntries,
  options: ImportOptions & Addressing,
): Promise<PathInfo> {
  const addressing = await checkAddressing(store, options, options);
  const node = addressedNode(await ingest(store, entries, options), addressing);
  const total = options.onProgress && (await narSize(store, node, options));
  const nar = await calculateNar(store, engine, node, { ...options, total });
  return store.pathInfos.put(await addressedPathInfo(store, engine, node, nar, addressing, options), options);
}

/**
 * Imports one file, not executable, of these bytes: with `method` `text` what `builtins.toFile` makes, derivations too.
 *
 * Until it resolves nothing is visible. When it fails, content that was written stays as garbage, and `source` is returned.
 *
 * @throws StoreError as `importEntries`
 */
export async function importFile(
  store: StoreServices,
  engine: HashEngine,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions & Addressing,
): Promise<PathInfo> {
  return importEntries(store, engine, (uploader) => fileEntry(source, uploader, options), options);
}

/**
 * Imports a NAR (uncompressed). Its hash is taken as it is read. With a `name`, it is published under the store path that
 * Nix gives the same content, as by `importEntries`; with a `narInfo`, under the path that this file says, if size and hash are as it says,
 * and the content address as well where it has one. Signatures are kept and not looked at. Progress: `reading`, in bytes.
 *
 * Until it resolves nothing is visible. When it fails, content that was written stays as garbage, and `source` is returned.
 *
 * @throws StoreError `invalid` for a bad name or NARInfo (before anything is read) or a bad NAR; `corrupt` if the NAR is not the one
 *   of the NARInfo; `conflict` if the store has the path with other content
 */
export async function importNar(
  store: StoreServices,
  engine: HashEngine,
  source: AsyncIterable<Uint8Array>,
  options: ImportNarOptions,
): Promise<PathInfo> {
  const input = new NarInput(source, options);
  try {
    const { narInfo, addressing } = await readTarget(store, options);
    input.expect(narInfo);
    const { node: content, ...read } = await input.ingest(store, engine);
    if (addressing) {
      const node = addressedNode(content, addressing);
      const nar = node === content ? read : await calculateNar(store, engine, node, { signal: options.signal });
      const info = await addressedPathInfo(store, engine, node, nar, addressing, options);
      return await store.pathInfos.put(info, options);
    }
    const info = pathInfoFromNarInfo(narInfo, content);
    checkNarSizeAndHash(info, read);
    await checkContentAddress(store, engine, info, {
      signal: options.signal,
      storeDir: options.narInfo === undefined ? undefined : options.storeDir,
    });
    return await store.pathInfos.put(info, options);
  } catch (error) {
    await input.cancel();
    options.signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Writes what a NAR (uncompressed) holds, and takes its hash as it is read; it becomes no store path. Progress: `reading`, in bytes. When it fails,
 * content that was written stays as garbage, and `source` is returned.
 *
 * @throws StoreError `invalid` for a bad NAR
 */
export async function ingestNar(
  castore: CastoreServices,
  engine: HashEngine,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions & ReadOptions = {},
): Promise<{ node: Node } & NarSizeAndHash> {
  const input = new NarInput(source, options);
  try {
    return await input.ingest(castore, engine);
  } catch (error) {
    await input.cancel();
    options.signal?.throwIfAborted();
    throw error;
  }
}

/** All that can be refused without reading the NAR is refused here. */
async function readTarget(store: StoreServices, options: ImportNarOptions): Promise<NarTarget> {
  options.signal?.throwIfAborted();
  if (options.narInfo === undefined) return { addressing: await checkAddressing(store, options, options) };
  const read = parseNarInfo(options.narInfo, options.storeDir);
  // Paths are kept as those of /nix/store, whoever's they are.
  const storePath = formatStorePath(parseStorePath(read.storePath, options.storeDir));
  const narInfo = { ...read, storePath };
  const { references, ca } = narInfo;
  await checkContentAddressPath({ storePath, references, ca: ca && formatContentAddress(ca) }, options.storeDir);
  const earlier = await store.pathInfos.get(parseHashPart(storePath), { signal: options.signal });
  if (earlier) checkSameContent({ storePath, narHash: formatSri(narInfo.narHash), references }, earlier);
  return { narInfo };
}

type NarTarget =
  | { readonly addressing: CheckedAddressing; readonly narInfo?: undefined }
  | { readonly narInfo: NarInfo; readonly addressing?: undefined };

/** Bytes of a NAR that are being hashed while later ones are parsed; and from what length on a piece is given away rather than copied. */
const HASHED_BEHIND = 8 * 1024 * 1024;
const GIVEN = 32 * 1024;

/** The NAR as it is read: counted, hashed, and no longer than expected. Pieces are given up once they are parsed. */
class NarInput {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #options: ImportOptions & ReadOptions;
  #narInfo: NarInfo | undefined;
  #started = false;
  #size = 0;

  constructor(source: AsyncIterable<Uint8Array>, options: ImportOptions & ReadOptions) {
    this.#source = source;
    this.#options = options;
  }

  expect(narInfo: NarInfo | undefined): void {
    this.#narInfo = narInfo;
  }

  async ingest(castore: CastoreServices, engine: HashEngine): Promise<{ node: Node } & NarSizeAndHash> {
    const hash = await engine.stream("sha256");
    try {
      const bytes = this.#read(hash);
      const { signal } = this.#options;
      const node = await ingest(castore, (uploader) => narEntries(bytes, uploader, { signal }), this.#options);
      return { node, narSize: this.#size, narHash: formatSri({ algorithm: "sha256", digest: await hash.digest() }) };
    } catch (error) {
      hash.abort();
      throw error;
    }
  }

  async *#read(hash: HashStream): AsyncGenerator<Uint8Array> {
    this.#started = true;
    const { signal, onProgress } = this.#options;
    const total = this.#narInfo?.narSize;
    const underWay: { length: number; hashed: Promise<void> }[] = [];
    let behind = 0;
    for await (const bytes of this.#source) {
      signal?.throwIfAborted();
      this.#size += bytes.length;
      if (total !== undefined && this.#size > total) {
        throw new StoreError("corrupt", `the NAR of ${this.#narInfo?.storePath} has more than ${total} bytes`);
      }
      yield bytes;
      // Nobody needs it any more, so it needs no copy on its way to the hash.
      const { length } = bytes;
      const hashed = this.#hash(hash, bytes);
      hashed.catch(() => {});
      underWay.push({ length, hashed });
      for (behind += length; behind > HASHED_BEHIND; ) {
        const oldest = underWay.shift();
        behind -= oldest?.length ?? 0;
        await oldest?.hashed;
      }
      onProgress?.({ phase: "reading", loaded: this.#size, total });
    }
    for (const { hashed } of underWay) await hashed;
  }

  async #hash(hash: HashStream, bytes: Uint8Array): Promise<void> {
    const { reuse } = this.#options;
    const { buffer } = bytes;
    const isGiven = buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && (reuse || bytes.length === buffer.byteLength);
    if (!isGiven || bytes.length < GIVEN) return hash.update(bytes);
    const returned = await hash.give(buffer, bytes.length);
    reuse?.(returned);
  }

  /** Tells the source that it won't be read, if nobody could yet. A loop that was left has told it already. */
  async cancel(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await this.#source[Symbol.asyncIterator]().return?.();
  }
}
