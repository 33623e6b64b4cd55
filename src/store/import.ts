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
  /** Size of the source in bytes, compressed or not, if it is known. It makes hashing faster. */
  size?: number | undefined;
  /**
   * Called with the buffer of each piece of at least 32 KiB, once the piece is no longer needed. A
   * caller that sets `reuse` promises that each piece starts at offset 0 of its buffer, and that
   * nobody else uses this buffer.
   */
  reuse?: ((buffer: ArrayBuffer) => void) | undefined;
}

/** Either how the NAR's content gets its store path, or a NARInfo file that states the path. */
export type ImportNarOptions = ImportOptions &
  ReadOptions &
  (
    | (Addressing & { readonly narInfo?: undefined })
    | {
        readonly narInfo: string;
        /** Store directory of the machine that wrote the NARInfo; `/nix/store` by default. */
        readonly storeDir?: string | undefined;
        readonly name?: undefined;
      }
  );

/**
 * Imports the tree that `entries` yields, and publishes it under the store path that Nix gives the
 * same tree. With a name alone, the path is that of `nix-store --add`. `entries` passes the
 * contents of files to the uploader. Progress: the phases that `entries` reports while it reads,
 * then `hashing`, in bytes.
 *
 * Nothing is visible until the promise resolves. If the import fails, content that was already
 * written stays as garbage, and the iterator of `entries` is closed.
 *
 * @throws StoreError `invalid` or `not-found` if `checkAddressing` refuses the options, before
 *   anything is read; `invalid` if the tree breaks castore's rules, or if the method needs a file
 *   and the tree is not one
 */
export async function importEntries(
  store: StoreServices,
  engine: HashEngine,
  entries: (uploader: BlobUploader) => IngestionEntries,
  options: ImportOptions & Addressing,
): Promise<PathInfo> {
  const addressing = await checkAddressing(store, options, options);
  const tree = await ingest(store, entries, options);
  const node = addressedNode(tree.node, addressing);
  const total = node === tree.node ? tree.narSize : await narSize(store, node, options);
  const nar = await calculateNar(store, engine, node, { ...options, total });
  return store.pathInfos.put(await addressedPathInfo(store, engine, node, nar, addressing, options), options);
}

/**
 * Imports the bytes of one file, which is not executable. With the method `text`, the result is
 * that of `builtins.toFile`; derivations are imported in this way too.
 *
 * Nothing is visible until the promise resolves. If the import fails, content that was already
 * written stays as garbage, and the iterator of `source` is closed.
 *
 * @throws StoreError like `importEntries`
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
 * Imports an uncompressed NAR, and hashes it while reading. With a `name`, the store path is the
 * one that Nix gives the same content: see `importEntries`. With a `narInfo`, the store path is the
 * one that the NARInfo states. The NAR must then have the stated size and hash and, if the NARInfo
 * has one, the stated content address. Signatures are stored, but not checked. Progress: `reading`,
 * in bytes.
 *
 * Nothing is visible until the promise resolves. If the import fails, content that was already
 * written stays as garbage, and the iterator of `source` is closed.
 *
 * @throws StoreError `invalid` if the name or the NARInfo is bad (before anything is read), or if
 *   the NAR is malformed; `corrupt` if the NAR does not match the NARInfo; `conflict` if the store
 *   has the path with other content
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
 * Writes the content of an uncompressed NAR and hashes the NAR while reading. It does not create a
 * store path. Progress: `reading`, in bytes. If it fails, content that was already written stays as
 * garbage, and the iterator of `source` is closed.
 *
 * @throws StoreError `invalid` if the NAR is malformed
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

/** Refuses everything that can be refused without reading the NAR. */
async function readTarget(store: StoreServices, options: ImportNarOptions): Promise<NarTarget> {
  options.signal?.throwIfAborted();
  if (options.narInfo === undefined) return { addressing: await checkAddressing(store, options, options) };
  const read = parseNarInfo(options.narInfo, options.storeDir);
  // The store keeps every path under /nix/store, whatever store directory the NARInfo has.
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

/**
 * Bytes of the NAR that may wait for their hash while later bytes are parsed; and the minimum
 * size in bytes of a piece that is transferred to the hash and not copied.
 */
const HASHED_BEHIND = 8 * 1024 * 1024;
const GIVEN = 32 * 1024;

/**
 * A NAR as it is read: counts and hashes it, and refuses more bytes than expected. It gives each
 * piece away once the piece is parsed.
 */
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
    // A compressed NAR is hardly ever smaller than its file.
    const hash = await engine.stream("sha256", { size: this.#narInfo?.narSize ?? this.#options.size });
    try {
      const bytes = this.#read(hash);
      const { signal } = this.#options;
      const { node } = await ingest(castore, (uploader) => narEntries(bytes, uploader, { signal }), this.#options);
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
      // The parser no longer needs the piece, so it goes to the hash without a copy.
      const { length } = bytes;
      const hashed = this.#hash(hash, bytes);
      hashed.catch(() => {});
      underWay.push({ length, hashed });
      for (behind += length; behind > HASHED_BEHIND; ) {
        const oldest = underWay.shift();
        behind -= oldest?.length ?? 0;
        await oldest?.hashed;
      }
      onProgress?.({ phase: "reading", unit: "bytes", loaded: this.#size, total });
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

  /**
   * Closes the source's iterator if nothing was read from it yet. The loop in `#read` closes it
   * otherwise.
   */
  async cancel(): Promise<void> {
    if (this.#started) return;
    this.#started = true;
    await this.#source[Symbol.asyncIterator]().return?.();
  }
}
