import type { Remote as ComlinkRemote } from "comlink";
import { transfer } from "comlink";
import { decodeUtf8, toBase64 } from "../bytes.ts";
import type { Digest } from "../castore/digest.ts";
import type { FileNode, Node } from "../castore/node.ts";
import type { TarOptions } from "../castore/tar-entries.ts";
import { StoreError } from "../error.ts";
import type { NarListingJson } from "../nix/nar-listing.ts";
import type { OperationOptions } from "../progress.ts";
import type { Addressing } from "../store/addressing.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SubstituteReport } from "../store/substitute.ts";
import type { SyncReport } from "../store/sync.ts";
import { iterate, streamOf } from "../stream.ts";
import type { Change } from "../thread/change-channel.ts";
import { operationPort } from "../thread/operation-port.ts";
import { receiveStream, sendStream } from "../thread/port-stream.ts";
import type {
  ArchiveOptions,
  ArchiveSource,
  BinaryCacheImport,
  GarbageReport,
  ImportedPathInfo,
  ListEntry,
  NarioOptions,
  NarPart,
  Pin,
  RemoteAddress,
  SignatureReport,
  StorageUsage,
  StoreApi,
  SyncOptions,
  VerifyReport,
} from "../thread/store-api.ts";
import { rememberEvicted } from "./eviction.ts";
import { folderSource } from "./folder.ts";
import type { Remote } from "./remote.ts";
import { type FileSource, StoreFile } from "./store-file.ts";
import type { StoreConnection } from "./store-worker-client.ts";

export interface StoreCondition {
  readonly id: string;
  readonly storage: "opfs" | "indexeddb";
  readonly evicted: boolean;
  readonly missingPacks: number;
}

/**
 * An archive: a stream, which is read to its end; or a `Blob` or `File`, which the worker reads
 * itself.
 */
export type Archive = ReadableStream<Uint8Array> | Blob;

/**
 * A Nix store in this browser; open it with `openStore`. Its worker does all heavy work.
 *
 * Methods take store paths as `/nix/store/<hash>-<name>`, `<hash>-<name>` or `<hash>`. They take
 * paths inside a store path as names joined by `/`, in text or bytes; the empty path is the root.
 * Methods reject with a `StoreError`, or with `signal.reason` after an abort. After a failure or an
 * abort, the store is as it was before. Only methods that import several store paths (`pull`,
 * `importBinaryCache`, `importNario`) keep the paths that were already complete.
 *
 * @fires change when this tab or another one has added or deleted store paths, or when the browser
 *   has deleted the store (`losses.evicted`)
 */
export class Store extends EventTarget {
  readonly name: string;
  /** Storage for new content. */
  readonly storage: "opfs" | "indexeddb";
  #id: string;
  #losses: { readonly evicted: boolean; readonly missingPacks: number };
  #worker: StoreConnection;
  #api: ComlinkRemote<StoreApi>;
  #changes: BroadcastChannel;

  /** @internal */
  constructor(name: string, worker: StoreConnection, changes: BroadcastChannel, { id, storage, ...losses }: StoreCondition) {
    super();
    this.name = name;
    this.storage = storage;
    this.#id = id;
    this.#losses = losses;
    this.#worker = worker;
    this.#api = worker.api;
    this.#changes = changes;
    changes.onmessage = ({ data }: MessageEvent<Change>) => {
      // The worker may hear of the change later than this page, and a listener may query the store
      // at once.
      this.#api.changed().catch(() => {});
      if (typeof data === "object") {
        // Another tab may report the eviction of an earlier store of this name.
        if (data.evicted === this.#id) this.endEvicted();
      } else if (data !== "collect") {
        this.dispatchEvent(new Event("change"));
      }
    };
  }

  /**
   * Data that was lost:
   *
   * - `evicted`: the browser has deleted the whole store, to free space or because the user cleared
   *   this site's data. If that happened before the store was opened, the store is now empty. If it
   *   happened while the store was open, a `change` event fires and every call rejects with
   *   `closed`; `openStore` then creates a new store.
   * - `missingPacks`: number of packs that were missing when the store was opened. `verify` reports
   *   the details.
   */
  get losses(): { readonly evicted: boolean; readonly missingPacks: number } {
    return this.#losses;
  }

  /**
   * Imports a folder: a directory handle (from `showDirectoryPicker()` or a drop), or files with
   * their `webkitRelativePath`. By default, the store path is the one that `nix-store --add` gives
   * to a directory of this name and content. Browsers hide executable bits and symlinks; file lists
   * also hide empty directories. The field `notTold` of the result lists the facts that the source
   * hides.
   */
  async importDirectory(
    source: FileSystemDirectoryHandle | Iterable<File>,
    options: Addressing & OperationOptions,
  ): Promise<ImportedPathInfo> {
    return this.#operation(options, (port) =>
      this.#api.importFolder(folderSource(source), addressing(options), transfer(port, [port])),
    );
  }

  /**
   * Imports a tar archive, plain or compressed with gzip, xz, zstd, bzip2, lz4, lzip or lzma. Its
   * only top-level entry becomes the content of the store path. With `stripRoot: false`, the
   * content is a directory of all its top-level entries.
   */
  async importTar(archive: Archive, options: Addressing & TarOptions & OperationOptions): Promise<PathInfo> {
    const { stripRoot } = options;
    return this.#importArchive(archive, { format: "tar", stripRoot, ...addressing(options) }, options);
  }

  /**
   * Imports one file unchanged, and not executable. The method `flat` gives the path of
   * `nix store add-file`. The method `text`, with `references`, gives the path of `builtins.toFile`
   * and of derivations.
   */
  async importFile(content: Archive, options: Addressing & OperationOptions): Promise<PathInfo> {
    return this.#importArchive(content, { format: "file", ...addressing(options) }, options);
  }

  /**
   * Imports a NAR, plain or compressed like an archive of `importTar`. With `name`, the store path
   * follows from the name and the content. With `narInfo`, it is the path in that text, and the NAR
   * must match the size, hash and content address in the text.
   */
  async importNar(archive: Archive, options: (Addressing | { narInfo: string }) & OperationOptions): Promise<PathInfo> {
    const naming = "narInfo" in options ? { narInfo: options.narInfo } : addressing(options);
    return this.#importArchive(archive, { format: "nar", ...naming }, options);
  }

  /**
   * Imports the store paths of a nario, plain or compressed. A nario is a file written by
   * `nix-store --export`, the method `nario` or the command line. Each path becomes visible when
   * its content is complete, after its dependencies. If the import fails, the paths that were
   * imported before stay. Signatures are stored, but not checked.
   *
   * @returns the store paths, in the order of the nario
   * @throws StoreError `invalid` if the archive is not a nario; `not-found` if a path refers to one
   *   that is neither earlier in the nario nor in the store; `corrupt` if content does not match
   *   its content address; `conflict` if the store has a path with other content
   */
  async importNario(archive: Archive, options: OperationOptions = {}): Promise<PathInfo[]> {
    return this.#send(archive, options, (source, port) => this.#api.importNario(source, port));
  }

  /** Yields all store paths, ordered by hash. */
  async *pathInfos(options: { signal?: AbortSignal } = {}): AsyncGenerator<PathInfo> {
    for await (const batch of iterate(
      this.#receive<PathInfo[]>((port) => this.#api.pathInfos(port)),
      options.signal,
    ))
      yield* batch;
  }

  /** Returns the PathInfo of a store path; `undefined` if the store does not have the path. */
  async pathInfo(storePath: string): Promise<PathInfo | undefined> {
    return this.#call(this.#api.pathInfo(storePath));
  }

  /**
   * Yields the entries of a directory, ordered by the bytes of their names.
   *
   * @throws StoreError `not-found` if there is no directory at `path`
   */
  async *list(storePath: string, path: string | Uint8Array = ""): AsyncGenerator<ListEntry> {
    const entries = await this.#call(this.#api.list(storePath, path));
    if (!entries) throw new StoreError("not-found", `${storePath} has no directory at ${JSON.stringify(path)}`);
    yield* entries;
  }

  /**
   * Returns the file at `path`, or `undefined` if there is none. It does not follow symlinks. The
   * file's content is read on demand.
   */
  async file(storePath: string, path: string | Uint8Array = ""): Promise<StoreFile | undefined> {
    const node = await this.#call<Node | undefined>(this.#api.node(storePath, path));
    if (node?.kind !== "file") return undefined;
    const { digest } = node;
    const name = `${storePath}/${typeof path === "string" ? path : decodeUtf8(path)}`;
    return new StoreFile(name, Number(node.size), this.#source(digest));
  }

  /**
   * Streams a store path, or the node at `path` inside it, as a NAR, which is rendered while it is
   * read. `offset` and `length`, in bytes, select a part of the NAR, like `slice`; the content
   * before this part is not read. The stream errors with `not-found` if nothing is at `path`, with
   * `invalid` if the range is malformed, and with `signal.reason` after an abort.
   */
  nar(storePath: string, { signal, ...part }: NarPart & { signal?: AbortSignal | undefined } = {}): ReadableStream<Uint8Array> {
    return this.#receive((port) => this.#api.nar(storePath, part, port), signal);
  }

  /**
   * Streams store paths as one nario, by default with their closures. `importNario` and
   * `nix-store --import` read it. Without `storePaths`, it contains the whole store. Progress:
   * `reading`, in bytes of the NARs. The stream errors with `not-found` if the store lacks one of
   * the paths, and with `signal.reason` after an abort.
   */
  nario(
    storePaths?: Iterable<string>,
    { signal, onProgress, ...options }: NarioOptions & OperationOptions = {},
  ): ReadableStream<Uint8Array> {
    const { port, reported, finish } = operationPort({ onProgress });
    const call = <T>(answer: Promise<T>): Promise<T> => this.#call(answer);
    const wanted = storePaths && [...storePaths];
    const stream = this.#receive<Uint8Array>((to) => this.#api.nario(wanted, options, transfer(port, [port]), to), signal);
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const bytes of iterate(stream)) yield bytes;
        await call(reported);
      } finally {
        finish();
      }
    };
    return streamOf(pieces());
  }

  /**
   * Lists the NAR of a store path, or of the node at `path` inside it, with the offset of each
   * file. The format is that of `<hash>.ls` in a binary cache. It reads only directories, no files.
   *
   * @throws StoreError `not-found` if the path is missing; `invalid` if a name or a symlink's
   *   target is not UTF-8, which JSON can't express
   */
  async narListing(storePath: string, path: string | Uint8Array = ""): Promise<NarListingJson> {
    return JSON.parse(await this.#call(this.#api.narListing(storePath, path)));
  }

  /**
   * Checks the signatures of a store path against `trustedPublicKeys` (`name:base64`). It reads
   * only the PathInfo. The import has already checked that the content has the signed hash.
   *
   * @throws StoreError `not-found` if the path is missing; `invalid` if a key is malformed or two
   *   keys have the same name
   */
  async verifySignatures(
    storePath: string,
    { trustedPublicKeys = [] }: { trustedPublicKeys?: Iterable<string> | undefined } = {},
  ): Promise<SignatureReport> {
    return this.#call(this.#api.verifySignatures(storePath, [...trustedPublicKeys]));
  }

  /**
   * Finds the store paths that the content of a store path refers to. A path counts if its hash
   * part occurs in the NAR, as in Nix's own scan. By default, the candidates are all paths of the
   * store, the path itself and its declared references.
   *
   * @returns base names, sorted
   * @throws StoreError `not-found` if the path is missing; `invalid` if a candidate is not a store
   *   path
   */
  async scanReferences(
    storePath: string,
    { candidates, ...options }: { candidates?: Iterable<string> | undefined } & OperationOptions = {},
  ): Promise<string[]> {
    return this.#operation(options, (port) =>
      this.#api.scanReferences(storePath, candidates && [...candidates], transfer(port, [port])),
    );
  }

  /**
   * Returns the NARInfo text that a binary cache would serve; `undefined` if the store does not
   * have the path.
   */
  async narInfo(storePath: string): Promise<string | undefined> {
    return this.#call(this.#api.narInfo(storePath));
  }

  /** Yields the store paths of a remote. */
  async *remotePathInfos(remote: Remote, options: { signal?: AbortSignal } = {}): AsyncGenerator<PathInfo> {
    const { address, release } = remote.address();
    try {
      const batches = this.#receive<PathInfo[]>((port) => this.#api.remotePathInfos(sent(address), port));
      for await (const batch of iterate(batches, options.signal)) yield* batch;
    } finally {
      release();
    }
  }

  /**
   * Copies store paths, by default with their closures, from a remote. It transfers only missing
   * data and verifies every byte. A path becomes visible when its content is complete and has the
   * NAR hash that the remote stated.
   */
  async pull(remote: Remote, storePaths: Iterable<string>, options: SyncOptions & OperationOptions = {}): Promise<SyncReport> {
    const { address, release } = remote.address();
    return this.#operation(
      options,
      (port) => this.#api.pull(sent(address), [...storePaths], { closure: options.closure }, transfer(port, [port])),
      release,
    );
  }

  /**
   * Imports store paths, by default with their closures, from a Nix binary cache. `url` is the
   * address of the directory that contains `nix-cache-info`. Paths that the store already has are
   * not fetched. NARs are plain or compressed with xz, zstd, bzip2, gzip, br, lz4, lzip or lzma. An
   * untrusted path ends the import before any NAR is read. Each path becomes visible after its
   * dependencies. Requests are retried after temporary failures.
   *
   * A path that fails blocks only the paths that depend on it. The method then rejects at the end,
   * when the other paths are in the store.
   *
   * @throws FailedPathsError which names the failed paths and contains the report. Its code is that
   *   of the first failure: `not-found` if the cache lacks a path or a NAR; `corrupt` or `invalid`
   *   if data does not match its NARInfo or is malformed; `unavailable` if the cache can't be read.
   * @throws StoreError before any NAR is read: `denied` if a path is neither signed by one of the
   *   keys nor content-addressed; `not-found` if there is no cache; `unavailable` if the cache
   *   can't be reached or does not allow pages to read it (CORS)
   */
  async importBinaryCache(
    url: string,
    storePaths: Iterable<string>,
    { signal, onProgress, ...options }: BinaryCacheImport & OperationOptions = {},
  ): Promise<SubstituteReport> {
    return this.#operation({ signal, onProgress }, (port) =>
      this.#api.importBinaryCache(url, [...storePaths], options, transfer(port, [port])),
    );
  }

  /**
   * Copies store paths, by default with their closures, to a remote. It transfers only the data
   * that the remote lacks.
   */
  async push(remote: Remote, storePaths: Iterable<string>, options: SyncOptions & OperationOptions = {}): Promise<SyncReport> {
    const { address, release } = remote.address();
    return this.#operation(
      options,
      (port) => this.#api.push(sent(address), [...storePaths], { closure: options.closure }, transfer(port, [port])),
      release,
    );
  }

  /**
   * Deletes a store path. Its content stays until the next `collectGarbage`.
   *
   * @returns whether the path was there
   */
  async delete(storePath: string): Promise<boolean> {
    return this.#call(this.#api.delete(storePath));
  }

  /**
   * Deletes the content that no store path and no pin refers to. Imports, pulls and reads can run
   * at the same time, in other tabs too; space that they still need is freed when they end. An
   * abort or a crash loses nothing: the next run continues.
   */
  async collectGarbage(options: OperationOptions = {}): Promise<GarbageReport> {
    return this.#operation(options, (port) => this.#api.collectGarbage(transfer(port, [port])));
  }

  /**
   * Checks all stored data against its digests, and checks that all store paths and pins are
   * complete. Damage is part of the report, not an error. With a `remote`, damaged and missing
   * objects are fetched from there if the remote has them.
   */
  async verify(options: { remote?: Remote | undefined } & OperationOptions = {}): Promise<VerifyReport> {
    const remote = options.remote?.address();
    return this.#operation(
      options,
      (port) => this.#api.verify(remote && sent(remote.address), transfer(port, [port])),
      remote?.release,
    );
  }

  /** Returns the space that the store uses and the space that the browser allows. */
  async usage(): Promise<StorageUsage> {
    return this.#call(this.#api.usage());
  }

  /**
   * Asks the browser not to evict the store when space is short. Call it after an import that the
   * user started, because the browser may ask the user.
   *
   * @returns whether the browser agreed; `false` if the browser has no such feature
   */
  async persist(): Promise<boolean> {
    return (await navigator.storage?.persist?.()) ?? false;
  }

  /**
   * Stores one blob without a store path. The blob stays until the pin of this name is removed. The
   * pin replaces an earlier pin of the same name.
   */
  async importBlob(content: Archive, options: { pin: string } & OperationOptions): Promise<FileNode> {
    return this.#send(content, options, (source, port) => this.#api.importBlob(source, options.pin, port));
  }

  /**
   * Returns the content of a blob, by a node from `importBlob` or `pins`. The content is read on
   * demand. If the blob is missing, that read fails.
   */
  blob({ digest, size }: Pick<FileNode, "digest" | "size">): StoreFile {
    return new StoreFile(`b3:${toBase64(digest)}`, Number(size), this.#source(digest));
  }

  /**
   * Protects the content of a store path from garbage collection, even if the path is deleted.
   *
   * @throws StoreError `not-found` if the path is missing
   */
  async pin(name: string, storePath: string): Promise<void> {
    return this.#call(this.#api.pin(name, storePath));
  }

  /**
   * Removes a pin.
   *
   * @returns whether the pin was there
   */
  async unpin(name: string): Promise<boolean> {
    return this.#call(this.#api.unpin(name));
  }

  /** Returns all pins, ordered by name. */
  async pins(): Promise<Pin[]> {
    return this.#call(this.#api.pins());
  }

  /** Closes the store and ends its worker. Operations in progress reject with `closed`. */
  async close(): Promise<void> {
    this.#changes.close();
    await this.#worker.close();
  }

  /**
   * Ends the store because the browser has deleted it.
   *
   * @internal
   */
  endEvicted(): void {
    if (this.#worker.lost.aborted) return;
    rememberEvicted(this.name, this.#id);
    this.#losses = { ...this.#losses, evicted: true };
    this.#worker.end(new StoreError("closed", `the browser has deleted the store ${JSON.stringify(this.name)}; open it again`));
    this.dispatchEvent(new Event("change"));
  }

  async #importArchive(archive: Archive, archiveOptions: ArchiveOptions, options: OperationOptions): Promise<PathInfo> {
    return this.#send(archive, options, (source, port) => this.#api.importArchive(source, archiveOptions, port));
  }

  /** Runs a long call that reads data of the page. */
  async #send<T>(
    content: Archive,
    options: OperationOptions,
    start: (source: ArchiveSource, port: MessagePort) => Promise<T>,
  ): Promise<T> {
    // A worker that is gone can't say that it stopped reading.
    const ended = new AbortController();
    return this.#operation(
      options,
      (port) => {
        const source = archiveSource(content, ended.signal);
        return start(transfer(source, "port" in source ? [source.port] : []), transfer(port, [port]));
      },
      () => ended.abort(new StoreError("closed", "the import has ended")),
    );
  }

  /**
   * Runs a long call with abort and progress.
   *
   * @param release called when the call has settled
   */
  async #operation<T>(
    options: OperationOptions,
    start: (port: MessagePort) => Promise<T>,
    release: () => void = () => {},
  ): Promise<T> {
    const { port, reported, finish } = operationPort(options);
    try {
      options.signal?.throwIfAborted();
      const result = await this.#call(start(port));
      await this.#call(reported);
      return result;
    } catch (error) {
      // The caller gets the reason itself, not the copy that the worker sent back.
      if (options.signal?.aborted) throw options.signal.reason;
      throw error;
    } finally {
      finish();
      release();
    }
  }

  #call<T>(call: Promise<T>): Promise<T> {
    return this.#worker.call(call);
  }

  #source(digest: Digest): FileSource {
    return {
      open: (offset, length) => this.#receive((port) => this.#api.readBlob(digest, { offset, length }, port)),
      read: (offset, length) => this.#call(this.#api.readBytes(digest, { offset, length })),
    };
  }

  #receive<T>(start: (port: MessagePort) => Promise<void>, signal?: AbortSignal): ReadableStream<T> {
    const { port1, port2 } = new MessageChannel();
    return receiveStream<T>(port1, { signal, lost: this.#worker.lost, started: start(transfer(port2, [port2])) });
  }
}

/**
 * Returns only the fields of an `Addressing`, because the worker can't receive the other options.
 */
function addressing({ name, method, hashAlgorithm, references }: Addressing): Addressing {
  return { name, method, hashAlgorithm, references: references && [...references] };
}

function sent(address: RemoteAddress): RemoteAddress {
  return transfer(address, address.fetch ? [address.fetch] : []);
}

/** @param ended aborted when the archive is no longer read */
function archiveSource(archive: Archive, ended: AbortSignal): ArchiveSource {
  if (archive instanceof Blob) return { blob: archive };
  const { port1, port2 } = new MessageChannel();
  sendStream(port1, archive, ended);
  return { port: port2 };
}
