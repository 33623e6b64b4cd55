import type { Remote as ComlinkRemote } from "comlink";
import { transfer } from "comlink";
import { decodeUtf8 } from "../bytes.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SyncReport } from "../store/sync.ts";
import { iterate } from "../stream.ts";
import { operationPort } from "../thread/operation-port.ts";
import { receiveStream, sendStream } from "../thread/port-stream.ts";
import type {
  ArchiveOptions,
  ArchiveSource,
  GarbageReport,
  ImportedPathInfo,
  ListEntry,
  RemoteAddress,
  StoreApi,
  SyncOptions,
} from "../thread/store-api.ts";
import { folderSource } from "./folder.ts";
import type { Remote } from "./remote.ts";
import { StoreFile } from "./store-file.ts";
import type { StoreWorker } from "./store-worker-client.ts";

/** An archive: a stream, which is read to its end, or a `Blob` or `File`, which the worker reads by itself. */
export type Archive = ReadableStream<Uint8Array> | Blob;

/**
 * A Nix store in this browser. Open one with `openStore`. Everything heavy is done in its worker.
 *
 * Store paths are given as `/nix/store/<hash>-<name>`, `<hash>-<name>` or `<hash>`; paths inside of them as names joined by `/`, as
 * text or as bytes, the empty path being the root. Methods reject with `StoreError`, or with `signal.reason` after an abort; then,
 * and after any failure, the store holds what it held before.
 *
 * @fires change when store paths came or went, by this tab or another one
 */
export class Store extends EventTarget {
  readonly name: string;
  #worker: StoreWorker;
  #api: ComlinkRemote<StoreApi>;
  #changes: BroadcastChannel;

  /** @internal */
  constructor(name: string, worker: StoreWorker, changes: BroadcastChannel) {
    super();
    this.name = name;
    this.#worker = worker;
    this.#api = worker.api;
    this.#changes = changes;
    changes.onmessage = () => this.dispatchEvent(new Event("change"));
  }

  /**
   * Imports a folder: a directory handle (from `showDirectoryPicker()` or a drop), or files with their `webkitRelativePath`. The path
   * is the one that `nix-store --add` gives to a directory of this name and content. Browsers hide executable bits and symlinks, and
   * file lists empty directories: see `notTold` in the answer.
   */
  async importDirectory(
    source: FileSystemDirectoryHandle | Iterable<File>,
    options: { name: string } & OperationOptions,
  ): Promise<ImportedPathInfo> {
    const { name } = options;
    return this.#operation(options, (port) => this.#api.importFolder(folderSource(source), { name }, transfer(port, [port])));
  }

  /** Imports a tar archive, plain or compressed with gzip, whose one top-level entry becomes the content of the store path. */
  async importTar(archive: Archive, options: { name: string } & OperationOptions): Promise<PathInfo> {
    return this.#importArchive(archive, { format: "tar", name: options.name }, options);
  }

  /**
   * Imports a NAR, plain or compressed with gzip: under the path that follows from `name` and its content, or under the path of
   * `narInfo`, whose hash and size it must have.
   */
  async importNar(archive: Archive, options: ({ name: string } | { narInfo: string }) & OperationOptions): Promise<PathInfo> {
    const naming = "narInfo" in options ? { narInfo: options.narInfo } : { name: options.name };
    return this.#importArchive(archive, { format: "nar", ...naming }, options);
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
    return new StoreFile(name, Number(node.size), (offset, length) =>
      this.#receive((port) => this.#api.readBlob(digest, { offset, length }, port)),
    );
  }

  /** The store path as a NAR, rendered as it is read. The stream errors with `not-found` if the store does not have it. */
  nar(storePath: string): ReadableStream<Uint8Array> {
    return this.#receive((port) => this.#api.nar(storePath, port));
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

  /** Deletes the content that no store path refers to. Waits for imports and pulls, in other tabs too. */
  async collectGarbage(options: OperationOptions = {}): Promise<GarbageReport> {
    return this.#operation(options, (port) => this.#api.collectGarbage(transfer(port, [port])));
  }

  /** Ends the worker. What is under way rejects with `closed`. */
  async close(): Promise<void> {
    this.#changes.close();
    await this.#worker.close();
  }

  async #importArchive(archive: Archive, archiveOptions: ArchiveOptions, options: OperationOptions): Promise<PathInfo> {
    // A worker that is gone does not say that it won't read on.
    const ended = new AbortController();
    return this.#operation(
      options,
      (port) => {
        const source = archiveSource(archive, ended.signal);
        return this.#api.importArchive(
          transfer(source, "port" in source ? [source.port] : []),
          archiveOptions,
          transfer(port, [port]),
        );
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
    const { port, finish } = operationPort(options);
    try {
      options.signal?.throwIfAborted();
      return await this.#call(start(port));
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

  #receive<T>(start: (port: MessagePort) => Promise<void>): ReadableStream<T> {
    const { port1, port2 } = new MessageChannel();
    return receiveStream<T>(port1, { signal: this.#worker.lost, started: start(transfer(port2, [port2])) });
  }
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
