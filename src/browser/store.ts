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

/** An archive: a stream, which is read to its end, or a `Blob` or `File`, which the worker reads by itself. */
export type Archive = ReadableStream<Uint8Array> | Blob;

/**
 * A Nix store in this browser. Open one with `openStore`. Everything heavy is done in its worker.
 *
 * Store paths are given as `/nix/store/<hash>-<name>`, `<hash>-<name>` or `<hash>`; paths inside of them as names joined by `/`, as
 * text or as bytes, the empty path being the root. Methods reject with `StoreError`, or with `signal.reason` after an abort. After
 * either the store holds what it held before; only methods that bring several store paths (`pull`, `importBinaryCache`, `importNario`)
 * keep those that had arrived whole.
 *
 * @fires change when store paths came or went, by this tab or another one, or the browser deleted the store (`losses.evicted`)
 */
export class Store extends EventTarget {
  readonly name: string;
  /** Where new content goes. */
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
      // The worker may hear of it later than we do, and whoever is told may ask at once.
      this.#api.changed().catch(() => {});
      if (typeof data === "object") {
        // Another tab may tell of the store that was there before this one.
        if (data.evicted === this.#id) this.endEvicted();
      } else if (data !== "collect") {
        this.dispatchEvent(new Event("change"));
      }
    };
  }

  /**
   * What was lost. `evicted`: the browser has deleted the whole store, to make room or because this site's data was cleared. Either that
   * happened since the store was last opened here, and it is empty now; or it happened while the store was open, with a `change` event, and
   * then every call rejects with `closed`, and `openStore` gives a new one. `missingPacks`: how many packs were missing when the store was
   * opened; `verify` tells more.
   */
  get losses(): { readonly evicted: boolean; readonly missingPacks: number } {
    return this.#losses;
  }

  /**
   * Imports a folder: a directory handle (from `showDirectoryPicker()` or a drop), or files with their `webkitRelativePath`. The path
   * is the one that `nix-store --add` gives to a directory of this name and content. Browsers hide executable bits and symlinks, and
   * file lists empty directories: see `notTold` in the answer.
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
   * Imports a tar archive, plain or compressed with gzip, xz, zstd, bzip2, lz4, lzip or lzma. Its one
   * top-level entry becomes the content of the store path; with `stripRoot: false` the content is a
   * directory of all its top-level entries.
   */
  async importTar(archive: Archive, options: Addressing & TarOptions & OperationOptions): Promise<PathInfo> {
    const { stripRoot } = options;
    return this.#importArchive(archive, { format: "tar", stripRoot, ...addressing(options) }, options);
  }

  /**
   * Imports one file, as it is and not executable: with `method` `flat` as `nix store add-file` does, with `text` and `references` as
   * `builtins.toFile`, and derivations too.
   */
  async importFile(content: Archive, options: Addressing & OperationOptions): Promise<PathInfo> {
    return this.#importArchive(content, { format: "file", ...addressing(options) }, options);
  }

  /**
   * Imports a NAR, plain or compressed likewise: under the path that follows from `name` and its content, or under the path of
   * `narInfo`, whose hash and size it must have.
   */
  async importNar(archive: Archive, options: (Addressing | { narInfo: string }) & OperationOptions): Promise<PathInfo> {
    const naming = "narInfo" in options ? { narInfo: options.narInfo } : addressing(options);
    return this.#importArchive(archive, { format: "nar", ...naming }, options);
  }

  /**
   * Imports the store paths of a nario, plain or compressed: a file that `nix-store --export`, `nario` or
   * the command line wrote. Each path shows up when its content is complete, after those that it refers
   * to. If the import fails, the paths before stay. Signatures are kept and not looked at.
   *
   * @returns the store paths, in the order of the nario
   * @throws StoreError `invalid` for what is no nario, `not-found` if a path refers to one that is neither
   *   before it nor in the store, `corrupt` if the content has not its content address, `conflict` if the
   *   store has a path with other content
   */
  async importNario(archive: Archive, options: OperationOptions = {}): Promise<PathInfo[]> {
    return this.#send(archive, options, (source, port) => this.#api.importNario(source, port));
  }

  /** All store paths, ordered by hash. */
  async *pathInfos(options: { signal?: AbortSignal } = {}): AsyncGenerator<PathInfo> {
    for await (const batch of iterate(
      this.#receive<PathInfo[]>((port) => this.#api.pathInfos(port)),
      options.signal,
    ))
      yield* batch;
  }

  /** `undefined` if the store does not have the path. */
  async pathInfo(storePath: string): Promise<PathInfo | undefined> {
    return this.#call(this.#api.pathInfo(storePath));
  }

  /** The entries of a directory, ordered by name, bytewise. @throws StoreError `not-found` if there is no directory at `path` */
  async *list(storePath: string, path: string | Uint8Array = ""): AsyncGenerator<ListEntry> {
    const entries = await this.#call(this.#api.list(storePath, path));
    if (!entries) throw new StoreError("not-found", `${storePath} has no directory at ${JSON.stringify(path)}`);
    yield* entries;
  }

  /** A file, or `undefined` if there is none at `path`. Symlinks are not followed. Its content is read when it is asked for. */
  async file(storePath: string, path: string | Uint8Array = ""): Promise<StoreFile | undefined> {
    const node = await this.#call<Node | undefined>(this.#api.node(storePath, path));
    if (node?.kind !== "file") return undefined;
    const { digest } = node;
    const name = `${storePath}/${typeof path === "string" ? path : decodeUtf8(path)}`;
    return new StoreFile(name, Number(node.size), this.#source(digest));
  }

  /**
   * The store path, or what is at `path` inside of it, as a NAR, rendered as it is read. `offset` and `length`, in bytes, cut a part out of
   * this NAR, as `slice` would, and what comes before is not rendered. The stream errors with `not-found` if there is nothing of the kind,
   * `invalid` for a range that can't be one, and with `signal.reason` after an abort.
   */
  nar(storePath: string, { signal, ...part }: NarPart & { signal?: AbortSignal | undefined } = {}): ReadableStream<Uint8Array> {
    return this.#receive((port) => this.#api.nar(storePath, part, port), signal);
  }

  /**
   * Store paths in one file, with their closures by default, which `importNario` and
   * `nix-store --import` read. Without `storePaths`, the whole store. Progress: `reading`, in bytes of the
   * NARs. The stream errors with `not-found` if the store lacks one of the paths, and with
   * `signal.reason` after an abort.
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
   * What the NAR of a store path, or of what is at `path` inside of it, holds and where: as a binary cache serves it in `<hash>.ls`. It takes
   * the directories alone, no file is read.
   *
   * @throws StoreError `not-found`; `invalid` if a name or a symlink's target is not UTF-8, which JSON can't say
   */
  async narListing(storePath: string, path: string | Uint8Array = ""): Promise<NarListingJson> {
    return JSON.parse(await this.#call(this.#api.narListing(storePath, path)));
  }

  /**
   * Who signed a store path: whether each signature is by the one of `trustedPublicKeys` (`name:base64`) that it names. Nothing is read but
   * what is known of the path; that its content has the hash that is signed was checked when it came.
   *
   * @throws StoreError `not-found`; `invalid` for what is no key, or for two keys of one name
   */
  async verifySignatures(
    storePath: string,
    { trustedPublicKeys = [] }: { trustedPublicKeys?: Iterable<string> | undefined } = {},
  ): Promise<SignatureReport> {
    return this.#call(this.#api.verifySignatures(storePath, [...trustedPublicKeys]));
  }

  /**
   * Which store paths the content of one refers to: those whose hash part is in its NAR, as Nix looks for references. By default all that the
   * store knows are looked for, itself and its declared references too.
   *
   * @returns base names, sorted
   * @throws StoreError `not-found`; `invalid` for a candidate that is no store path
   */
  async scanReferences(
    storePath: string,
    { candidates, ...options }: { candidates?: Iterable<string> | undefined } & OperationOptions = {},
  ): Promise<string[]> {
    return this.#operation(options, (port) =>
      this.#api.scanReferences(storePath, candidates && [...candidates], transfer(port, [port])),
    );
  }

  /** NARInfo text, as a binary cache would serve it; `undefined` if the store does not have the path. */
  async narInfo(storePath: string): Promise<string | undefined> {
    return this.#call(this.#api.narInfo(storePath));
  }

  /** The store paths that a remote has. */
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
   * Copies store paths, with all that they refer to, from a remote. Only what is missing moves; every byte is checked; a path shows
   * up when its content is complete and has the NAR hash that the remote said.
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
   * Imports store paths, with all that they refer to, from a Nix binary cache, whose address is
   * that of its `nix-cache-info`'s directory. What is there already is left alone. NARs come plain
   * or compressed with xz, zstd, bzip2 or gzip. A path that is not trusted ends it before any NAR
   * is read; each path shows up after those that it refers to. Requests that fail for a reason that
   * may pass are retried.
   *
   * A path that fails leaves out those that refer to it, and no others: it rejects at the end, when
   * the others are there.
   *
   * @throws FailedPathsError which names the paths that failed, has the report, and the code of the
   *   first failure: `not-found`, `corrupt` or `invalid` for what is not as it was promised,
   *   `unavailable`
   * @throws StoreError before any NAR is read: `denied` for a path that is neither signed by one of
   *   the keys nor content-addressed; `not-found` if there is no cache; `unavailable` if the cache
   *   can't be reached, or forbids pages to read it (CORS)
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

  /** Copies store paths, with all that they refer to, to a remote. Only what it lacks moves. */
  async push(remote: Remote, storePaths: Iterable<string>, options: SyncOptions & OperationOptions = {}): Promise<SyncReport> {
    const { address, release } = remote.address();
    return this.#operation(
      options,
      (port) => this.#api.push(sent(address), [...storePaths], { closure: options.closure }, transfer(port, [port])),
      release,
    );
  }

  /** Forgets a store path; its content goes with the next `collectGarbage`. Whether it was there. */
  async delete(storePath: string): Promise<boolean> {
    return this.#call(this.#api.delete(storePath));
  }

  /**
   * Deletes the content that no store path and no pin refers to. Imports, pulls and reads go on beside it, in other tabs too; room that
   * they still need is freed when they are done. An abort or a crash loses nothing: the next run goes on.
   */
  async collectGarbage(options: OperationOptions = {}): Promise<GarbageReport> {
    return this.#operation(options, (port) => this.#api.collectGarbage(transfer(port, [port])));
  }

  /**
   * Compares everything that is stored with its digest, and looks whether all store paths and pins are whole. Damage is an answer, not
   * an error. With a `remote`, what is damaged or missing is fetched from there, as far as it has it.
   */
  async verify(options: { remote?: Remote | undefined } & OperationOptions = {}): Promise<VerifyReport> {
    const remote = options.remote?.address();
    return this.#operation(
      options,
      (port) => this.#api.verify(remote && sent(remote.address), transfer(port, [port])),
      remote?.release,
    );
  }

  /** What the store takes, and what the browser allows. */
  async usage(): Promise<StorageUsage> {
    return this.#call(this.#api.usage());
  }

  /**
   * Asks the browser not to throw the store away when room gets short. Best after an import that its reader began, since a browser may ask. @returns
   * whether it promised; false where it can't
   */
  async persist(): Promise<boolean> {
    return (await navigator.storage?.persist?.()) ?? false;
  }

  /**
   * Writes one blob, without a store path. It stays as long as the pin of this name does; a pin of the same name that was there before is
   * replaced.
   */
  async importBlob(content: Archive, options: { pin: string } & OperationOptions): Promise<FileNode> {
    return this.#send(content, options, (source, port) => this.#api.importBlob(source, options.pin, port));
  }

  /** The content of a blob, as `importBlob` and `pins` name it. It is read when it is asked for; if it is missing, that is an error then. */
  blob({ digest, size }: Pick<FileNode, "digest" | "size">): StoreFile {
    return new StoreFile(`b3:${toBase64(digest)}`, Number(size), this.#source(digest));
  }

  /** Keeps the content of a store path from garbage collection, also when the path is deleted. @throws StoreError `not-found` */
  async pin(name: string, storePath: string): Promise<void> {
    return this.#call(this.#api.pin(name, storePath));
  }

  /** Takes a pin away. Whether it was there. */
  async unpin(name: string): Promise<boolean> {
    return this.#call(this.#api.unpin(name));
  }

  /** All pins, ordered by name. */
  async pins(): Promise<Pin[]> {
    return this.#call(this.#api.pins());
  }

  /** Ends the worker. What is under way rejects with `closed`. */
  async close(): Promise<void> {
    this.#changes.close();
    await this.#worker.close();
  }

  /** @internal The browser has deleted this store. */
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

  /** Runs a long call that reads what the page has. */
  async #send<T>(
    content: Archive,
    options: OperationOptions,
    start: (source: ArchiveSource, port: MessagePort) => Promise<T>,
  ): Promise<T> {
    // A worker that is gone does not say that it won't read on.
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

  /** Runs a long call with abort and progress. @param release is called when it has settled */
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
      // The reason itself, not the copy of it that came back from the worker.
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

/** Without what can't be sent to the worker. */
function addressing({ name, method, hashAlgorithm, references }: Addressing): Addressing {
  return { name, method, hashAlgorithm, references: references && [...references] };
}

function sent(address: RemoteAddress): RemoteAddress {
  return transfer(address, address.fetch ? [address.fetch] : []);
}

/** @param ended when nothing of the archive is wanted any more */
function archiveSource(archive: Archive, ended: AbortSignal): ArchiveSource {
  if (archive instanceof Blob) return { blob: archive };
  const { port1, port2 } = new MessageChannel();
  sendStream(port1, archive, ended);
  return { port: port2 };
}
