import { connectCacheCastore } from "../backends/cache-castore.ts";
import { ReadBuffers } from "../byte-stream.ts";
import { concatBytes, decodeUtf8 } from "../bytes.ts";
import type { BlobUploader } from "../castore/blob-uploader.ts";
import type { Digest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { fileEntry } from "../castore/file-entry.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { tarEntries } from "../castore/tar-entries.ts";
import { provideBrotli } from "../compression/brotli.ts";
import { decompressed } from "../compression/decompress.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { HashPool } from "../hash/pool.ts";
import { parsePublicKeys } from "../nix/key.ts";
import { narListingToJson } from "../nix/nar-listing.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import type { Addressing } from "../store/addressing.ts";
import { BinaryCache } from "../store/binary-cache.ts";
import { closureOf, requirePathInfo } from "../store/closure.ts";
import { importEntries, importNar, type ReadOptions } from "../store/import.ts";
import { requireNode } from "../store/list.ts";
import { renderNar } from "../store/nar.ts";
import { renderNarInfo } from "../store/nar-info.ts";
import { listNode } from "../store/nar-listing.ts";
import { exportNario, importNario } from "../store/nario.ts";
import type { PathInfo } from "../store/path-info.ts";
import { PathResolver } from "../store/path-resolver.ts";
import { scanReferences } from "../store/scan-references.ts";
import type { LocalStoreServices } from "../store/services.ts";
import { checkSignatures } from "../store/signatures.ts";
import { type SubstituteReport, substitutePaths } from "../store/substitute.ts";
import { copyBetweenStores, type SyncReport } from "../store/sync.ts";
import { isContentAddressed } from "../store/trust.ts";
import { iterate } from "../stream.ts";
import { type Change, changeChannel } from "../thread/change-channel.ts";
import { operationOptions } from "../thread/operation-port.ts";
import { Gathered, receiveStream, sendStream } from "../thread/port-stream.ts";
import type {
  ArchiveOptions,
  ArchiveSource,
  BinaryCacheImport,
  FolderSource,
  GarbageReport,
  ImportedPathInfo,
  ListEntry,
  NarioOptions,
  NarPart,
  OpenOptions,
  OpenReport,
  Pin,
  RemoteAddress,
  SignatureReport,
  StorageUsage,
  StoreApi,
  SyncOptions,
  VerifyReport,
} from "../thread/store-api.ts";
import { archiveBytes } from "./archive-bytes.ts";
import { connectRemoteAddress } from "./connect-remote.ts";
import { folderEntries, notTold } from "./folder-entries.ts";
import { collectGarbage } from "./garbage.ts";
import { loadBrotli } from "./load-brotli.ts";
import { deletePackedStore, openPackedStore } from "./open-packed-store.ts";
import { packedReader, writePacked } from "./packed-services.ts";
import type { PackedStore } from "./packed-store.ts";
import { deletePin, importBlob, pinStorePath } from "./pins.ts";
import { repair } from "./repair.ts";
import { spawnHashWorker } from "./spawn-hash-worker.ts";
import { storageUsage } from "./usage.ts";
import { verifyStore } from "./verify.ts";
import type { WriteSession } from "./write-session.ts";

interface OpenedStore {
  readonly packed: PackedStore;
  readonly pool: HashEngine;
  /** Services that read the committed content. */
  readonly services: LocalStoreServices;
  readonly resolver: PathResolver;
  readonly durability: "strict" | "relaxed";
  readonly changes: BroadcastChannel;
}

interface Writing {
  readonly services: LocalStoreServices;
  readonly session: WriteSession;
  readonly pool: HashEngine;
}

/** Starts the hash engine of a store. */
export type StartEngine = (options: OpenOptions) => HashEngine;

const startPool: StartEngine = ({ workers, hashWorkerUrl }) => new HashPool(workers, () => spawnHashWorker(hashWorkerUrl));

/** Implements the calls of the page. */
export class StoreServer implements StoreApi {
  readonly #startEngine: StartEngine;
  #opened: OpenedStore | undefined;

  /** @param startEngine by default a pool of workers */
  constructor(startEngine: StartEngine = startPool) {
    this.#startEngine = startEngine;
    provideBrotli(loadBrotli);
  }

  async open(name: string, options: OpenOptions, operation?: MessagePort): Promise<OpenReport> {
    const open = (running: OperationOptions) => this.#open(name, options, running);
    return operation ? this.#run(operation, open) : open({});
  }

  async #open(name: string, options: OpenOptions, running: OperationOptions): Promise<OpenReport> {
    const pool = this.#startEngine(options);
    try {
      const packed = await openPackedStore(name, options.storage, running);
      const services = packedReader(packed, pool);
      const changes = changeChannel(name);
      const resolver = new PathResolver(services);
      // Another tab may have garbage-collected packs that our open handles keep in existence.
      changes.onmessage = () => packed.sweepLater();
      const opened = { packed, pool, services, resolver, durability: options.durability, changes };
      this.#opened = opened;
      const id = String(await packed.database.read("meta", (store) => store.get("id")));
      packed.database.ended.addEventListener("abort", () => {
        if (packed.database.isEvicted) this.#tell(opened, { evicted: id });
      });
      return { id, storage: packed.storage, missingPacks: await packed.missingPacks() };
    } catch (error) {
      pool.close();
      await this.close();
      throw error;
    }
  }

  async importFolder(source: FolderSource, addressing: Addressing, operation: MessagePort): Promise<ImportedPathInfo> {
    return this.#write(operation, async ({ services, pool }, options) => {
      const info = await importEntries(services, pool, (uploader) => folderEntries(source, uploader, options), {
        ...options,
        ...addressing,
      });
      return { ...info, notTold: notTold(source) };
    });
  }

  async importArchive(source: ArchiveSource, archive: ArchiveOptions, operation: MessagePort): Promise<PathInfo> {
    const name = "name" in archive ? archive.name : undefined;
    return this.#read(source, name, operation, (stream, { services, pool }, { reuse, ...options }) => {
      const { format, ...naming } = archive;
      if ("narInfo" in naming || format === "nar")
        return importNar(services, pool, decompressed(stream, options.signal), {
          ...options,
          ...naming,
          reuse,
          onProgress: undefined,
        });
      const entries = (uploader: BlobUploader) =>
        archive.format === "tar"
          ? tarEntries(decompressed(stream, options.signal), uploader, { signal: options.signal, stripRoot: archive.stripRoot })
          : fileEntry(stream, uploader, { signal: options.signal });
      return importEntries(services, pool, entries, { ...options, ...naming });
    });
  }

  async importNario(source: ArchiveSource, operation: MessagePort): Promise<PathInfo[]> {
    return this.#read(source, "nario", operation, async (stream, { services, pool }, { signal }) => {
      const infos: PathInfo[] = [];
      for await (const info of importNario(services, pool, decompressed(stream, signal), { signal })) infos.push(info);
      return infos;
    });
  }

  async pathInfo(storePath: string): Promise<PathInfo | undefined> {
    return this.#store().services.pathInfos.get(parseHashPart(storePath));
  }

  pathInfos(to: MessagePort): void {
    sendStream(
      to,
      batches(() => this.#store().services.pathInfos.list()),
    );
  }

  async list(storePath: string, path: string | Uint8Array): Promise<ListEntry[] | undefined> {
    const entries = await this.#store().resolver.list(storePath, path);
    return entries?.map(listEntry);
  }

  async node(storePath: string, path: string | Uint8Array): Promise<Node | undefined> {
    return this.#store().resolver.resolve(storePath, path);
  }

  readBlob(digest: Digest, range: { offset: number; length: number }, to: MessagePort): void {
    const { blobs } = this.#store().services;
    sendStream(
      to,
      (async function* () {
        const stream = await blobs.open(digest, range);
        if (!stream) throw new StoreError("not-found", "the file's content is missing from the store");
        yield* iterate(stream);
      })(),
    );
  }

  async readBytes(digest: Digest, { offset, length }: { offset: number; length: number }): Promise<Uint8Array> {
    const stream = await this.#store().services.blobs.open(digest, { offset, length });
    if (!stream) throw new StoreError("not-found", "the file's content is missing from the store");
    const parts: Uint8Array[] = [];
    for await (const bytes of iterate(stream)) parts.push(bytes);
    return concatBytes(parts);
  }

  nar(storePath: string, { path = "", offset = 0, length = Number.POSITIVE_INFINITY }: NarPart, to: MessagePort): void {
    const { services } = this.#store();
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      const node = await requireNode(services, storePath, path);
      yield* iterate(renderNar(services, node, { range: { offset, length } }));
    };
    sendStream(to, new Gathered(pieces()));
  }

  nario(storePaths: string[] | undefined, options: NarioOptions, operation: MessagePort, to: MessagePort): void {
    const { services, pool } = this.#store();
    const { closure = true, notes } = options;
    const { finish, ...running } = operationOptions(operation);
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      try {
        const infos = await pathsToExport(services, storePaths, closure, running.signal);
        for await (const bytes of exportNario(services, infos, { ...running, engine: pool, notes })) yield bytes;
      } finally {
        finish();
      }
    };
    sendStream(to, new Gathered(pieces()));
  }

  async narListing(storePath: string, path: string | Uint8Array): Promise<string> {
    const { services } = this.#store();
    return narListingToJson(await listNode(services, await requireNode(services, storePath, path)));
  }

  async verifySignatures(storePath: string, trustedPublicKeys: string[]): Promise<SignatureReport> {
    const keys = parsePublicKeys(trustedPublicKeys);
    const info = await requirePathInfo(this.#store().services.pathInfos, storePath);
    return { signatures: await checkSignatures(info, keys), contentAddressed: await isContentAddressed(info) };
  }

  async scanReferences(storePath: string, candidates: string[] | undefined, operation: MessagePort): Promise<string[]> {
    const { services } = this.#store();
    return this.#run(operation, async (options) => {
      const info = await requirePathInfo(services.pathInfos, storePath, options);
      const known = new Set(candidates ?? [info.storePath, ...info.references]);
      if (!candidates) for await (const { storePath } of services.pathInfos.list(options)) known.add(storePath);
      return scanReferences(services, info.node, known, { ...options, total: info.narSize });
    });
  }

  async narInfo(storePath: string): Promise<string | undefined> {
    const info = await this.pathInfo(storePath);
    return info && renderNarInfo(info);
  }

  remotePathInfos(address: RemoteAddress, to: MessagePort): void {
    const { pool } = this.#store();
    sendStream(
      to,
      batches(() => connectRemoteAddress(address, pool).pathInfos.list()),
    );
  }

  async pull(address: RemoteAddress, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport> {
    return this.#write(operation, async ({ services, pool }, operationOptions) => {
      const remote = connectRemoteAddress(address, pool);
      return copyBetweenStores(remote, services, storePaths, { ...operationOptions, ...options, engine: pool, reuseChunks: true });
    });
  }

  async importBinaryCache(
    url: string,
    storePaths: string[],
    { trustedPublicKeys = [], requireSignatures = true, closure, headers, timeouts }: BinaryCacheImport,
    operation: MessagePort,
  ): Promise<SubstituteReport> {
    const cache = new BinaryCache(url, { headers, timeouts });
    const keys = parsePublicKeys(trustedPublicKeys);
    return this.#write(operation, async ({ services, pool }, options) => {
      let retried = 0;
      await cache.info({ ...options, onRetry: () => retried++ });
      return substitutePaths(services, cache, storePaths, {
        ...options,
        retried,
        closure,
        engine: pool,
        castore: connectCacheCastore(cache.url, pool, { headers, timeouts }),
        trust: requireSignatures ? { keys } : "all",
      });
    });
  }

  async push(address: RemoteAddress, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport> {
    const { services, pool } = this.#store();
    return this.#run(operation, async (operationOptions) => {
      const remote = connectRemoteAddress(address, pool);
      // The content of this store was verified when it was written.
      return copyBetweenStores(services, remote, storePaths, { ...operationOptions, ...options, engine: pool, verify: false });
    });
  }

  async delete(storePath: string): Promise<boolean> {
    const store = this.#store();
    const known = await store.services.pathInfos.delete(parseHashPart(storePath));
    if (known) this.#tell(store, "delete");
    return known;
  }

  async collectGarbage(operation: MessagePort): Promise<GarbageReport> {
    const store = this.#store();
    return this.#run(operation, async (options) => {
      const report = await collectGarbage(store.packed, options);
      this.#tell(store, "collect");
      return report;
    });
  }

  async verify(address: RemoteAddress | undefined, operation: MessagePort): Promise<VerifyReport> {
    const store = this.#store();
    const { packed, pool } = store;
    return this.#run(operation, (options) =>
      // The lock keeps packs from being rewritten; `holding` keeps the numbers of entries.
      packed.locks.collecting(options.signal, () =>
        packed.holding(async () => {
          const verified = await verifyStore(packed, pool, options);
          if (!address || verified.roots.length === 0) return verified.report;
          const remote = connectRemoteAddress(address, pool);
          const refetched = await repair(packed, pool, verified, remote, options);
          this.#tell(store, "repair");
          return { ...verified.report, refetched };
        }),
      ),
    );
  }

  async usage(): Promise<StorageUsage> {
    return storageUsage(this.#store().packed);
  }

  async importBlob(source: ArchiveSource, pin: string, operation: MessagePort): Promise<FileNode> {
    return this.#read(source, pin, operation, (bytes, { services, session }, options) =>
      importBlob(services.blobs, session, bytes, pin, options),
    );
  }

  async pin(name: string, storePath: string): Promise<void> {
    return pinStorePath(this.#store().packed, name, storePath);
  }

  async unpin(name: string): Promise<boolean> {
    return deletePin(this.#store().packed, name);
  }

  async pins(): Promise<Pin[]> {
    return this.#store().packed.database.read("pins", (store) => store.getAll());
  }

  changed(): void {
    this.#opened?.resolver.clear();
  }

  ping(): void {}

  /** Deletes the store with all its content. Other tabs that have it open close it. */
  async destroy(name: string, operation?: MessagePort): Promise<void> {
    await this.close();
    const destroy = ({ onProgress }: OperationOptions) =>
      deletePackedStore(name, (phase) => onProgress?.({ phase, unit: "none", loaded: 0 }));
    return operation ? this.#run(operation, destroy) : destroy({});
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.pool.close();
    opened?.changes.close();
    opened?.packed.close();
    await opened?.packed.database.close();
  }

  #store(): OpenedStore {
    if (!this.#opened) throw new StoreError("closed", "the store is not open");
    // Not every call reaches the database, which would throw this.
    this.#opened.packed.database.ended.throwIfAborted();
    return this.#opened;
  }

  /**
   * Tells other tabs about a change. If an operation ends while the store is being closed, its
   * channel is closed already; the operation still succeeds.
   */
  #tell(store: OpenedStore, change: Change): void {
    store.resolver.clear();
    if (this.#opened === store) store.changes.postMessage(change);
  }

  /** Runs `work`, which puts path infos, in a write session. */
  async #write<T>(operation: MessagePort, work: (store: Writing, options: RunningOptions) => Promise<T>): Promise<T> {
    return this.#run(operation, async (options) => {
      const store = this.#store();
      const { packed, pool, durability } = store;
      let used: WriteSession | undefined;
      try {
        return await writePacked(packed, pool, { durability, signal: options.signal }, (services, session) => {
          used = session;
          return work({ services, session, pool }, options);
        });
      } finally {
        // Work that failed or was aborted may have put some store paths before.
        if (used?.mayHaveCommitted) this.#tell(store, "write");
      }
    });
  }

  /**
   * Like `#write`, for work that reads bytes from the page.
   *
   * @param name name of the import, for error messages
   */
  async #read<T>(
    source: ArchiveSource,
    name: unknown,
    operation: MessagePort,
    work: (bytes: AsyncGenerator<Uint8Array>, store: Writing, options: RunningOptions & ReadOptions) => Promise<T>,
  ): Promise<T> {
    const stream = "blob" in source ? source.blob.stream() : receiveStream<Uint8Array>(source.port);
    const buffers = new ReadBuffers();
    try {
      return await this.#write(operation, (store, options) =>
        work(archiveBytes(stream, source, name, buffers, options), store, { ...options, reuse: (buffer) => buffers.give(buffer) }),
      );
    } catch (error) {
      // If the work failed before it read anything, the sender is still waiting. If the stream
      // itself failed, `cancel` rejects with the stream's own error.
      if (!stream.locked) await stream.cancel(error).catch(() => {});
      throw error;
    }
  }

  async #run<T>(operation: MessagePort, work: (options: RunningOptions) => Promise<T>): Promise<T> {
    const { finish, ...options } = operationOptions(operation);
    try {
      return await work(options);
    } finally {
      finish();
    }
  }
}

type RunningOptions = OperationOptions & { signal: AbortSignal };

/**
 * Collects the path infos to export.
 *
 * @param storePaths all paths of the store by default; these already form a closure
 */
async function pathsToExport(
  { pathInfos }: LocalStoreServices,
  storePaths: readonly string[] | undefined,
  closure: boolean,
  signal: AbortSignal,
): Promise<Iterable<PathInfo>> {
  const infos = new Map<string, PathInfo>();
  const found = storePaths && closure ? await closureOf(pathInfos, storePaths, { signal }) : [];
  for (const info of found) infos.set(info.storePath, info);
  if (!storePaths) for await (const info of pathInfos.list({ signal })) infos.set(info.storePath, info);
  else if (!closure) {
    for (const storePath of storePaths) {
      const info = await requirePathInfo(pathInfos, storePath, { signal });
      infos.set(info.storePath, info);
    }
  }
  return infos.values();
}

const LIST_BATCH = 100;

async function* batches<T>(list: () => AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of list()) {
    batch.push(item);
    if (batch.length < LIST_BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function listEntry({ name, node }: DirectoryEntry): ListEntry {
  const common = { name: decodeUtf8(name), nameBytes: name, kind: node.kind };
  if (node.kind === "symlink") {
    return { ...common, size: node.target.length, executable: false, target: decodeUtf8(node.target), targetBytes: node.target };
  }
  const executable = node.kind === "file" && node.executable;
  return { ...common, size: Number(node.size), executable, digest: node.digest };
}
