import type { Digest } from "../castore/digest.ts";
import type { FileNode, Node } from "../castore/node.ts";
import type { TarOptions } from "../castore/tar-entries.ts";
import type { Addressing } from "../store/addressing.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { CheckedSignature } from "../store/signatures.ts";
import type { SubstituteReport } from "../store/substitute.ts";
import type { SyncReport } from "../store/sync.ts";
import type { Timeouts } from "../timeouts.ts";

/**
 * The API of the store worker for the page, over Comlink. Each long call takes a port for abort and
 * progress (`operation-port.ts`). Streams travel through ports too (`port-stream.ts`).
 */
export interface StoreApi {
  open(name: string, options: OpenOptions, operation?: MessagePort): Promise<OpenReport>;
  /** Returns as soon as the worker handles messages. */
  ping(): void;
  importFolder(source: FolderSource, options: Addressing, operation: MessagePort): Promise<ImportedPathInfo>;
  importArchive(source: ArchiveSource, options: ArchiveOptions, operation: MessagePort): Promise<PathInfo>;
  importNario(source: ArchiveSource, operation: MessagePort): Promise<PathInfo[]>;
  pathInfo(storePath: string): Promise<PathInfo | undefined>;
  /** Streams arrays of PathInfo. */
  pathInfos(to: MessagePort): void;
  /** Lists the directory at `path` in the store path; `undefined` if there is no directory. */
  list(storePath: string, path: string | Uint8Array): Promise<ListEntry[] | undefined>;
  node(storePath: string, path: string | Uint8Array): Promise<Node | undefined>;
  readBlob(digest: Digest, range: { offset: number; length: number }, to: MessagePort): void;
  /** Reads a range that is too small to be worth a stream. */
  readBytes(digest: Digest, range: { offset: number; length: number }): Promise<Uint8Array>;
  nar(storePath: string, part: NarPart, to: MessagePort): void;
  /** @param storePaths all paths of the store by default */
  nario(storePaths: string[] | undefined, options: NarioOptions, operation: MessagePort, to: MessagePort): void;
  /** Renders the listing as JSON. */
  narListing(storePath: string, path: string | Uint8Array): Promise<string>;
  verifySignatures(storePath: string, trustedPublicKeys: string[]): Promise<SignatureReport>;
  /** @param candidates all paths of the store by default */
  scanReferences(storePath: string, candidates: string[] | undefined, operation: MessagePort): Promise<string[]>;
  narInfo(storePath: string): Promise<string | undefined>;
  remotePathInfos(remote: RemoteAddress, to: MessagePort): void;
  pull(remote: RemoteAddress, storePaths: string[] | undefined, options: SyncOptions, operation: MessagePort): Promise<SyncReport>;
  push(remote: RemoteAddress, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport>;
  importBinaryCache(
    url: string,
    storePaths: string[],
    options: BinaryCacheImport,
    operation: MessagePort,
  ): Promise<SubstituteReport>;
  delete(storePath: string): Promise<boolean>;
  collectGarbage(operation: MessagePort): Promise<GarbageReport>;
  verify(remote: RemoteAddress | undefined, operation: MessagePort): Promise<VerifyReport>;
  usage(): Promise<StorageUsage>;
  /** Writes one blob and pins it under the name `pin`. */
  importBlob(source: ArchiveSource, pin: string, operation: MessagePort): Promise<FileNode>;
  pin(name: string, storePath: string): Promise<void>;
  unpin(name: string): Promise<boolean>;
  pins(): Promise<Pin[]>;
  /**
   * Tells the worker that the page heard of a change. The worker then reads the store again instead
   * of answering from its caches.
   */
  changed(): void;
  destroy(name: string, operation?: MessagePort): Promise<void>;
  close(): Promise<void>;
}

export interface OpenOptions {
  storage: "auto" | "opfs" | "indexeddb";
  durability: "strict" | "relaxed";
  /** Number of hash workers. */
  workers: number;
  /** Absolute URL, for a page whose bundler can't find the script. */
  hashWorkerUrl?: string | undefined;
}

export interface OpenReport {
  /**
   * Identifies the store since its creation. A different id means that the browser evicted the
   * store.
   */
  readonly id: string;
  /** Where the store writes new content. */
  readonly storage: "opfs" | "indexeddb";
  /** Number of packs that the index names but that are missing. */
  readonly missingPacks: number;
}

/**
 * A root of garbage collection that is not a store path. It keeps `node` and everything beneath it.
 */
export interface Pin {
  readonly name: string;
  readonly node: Node;
}

/**
 * A folder to import: a handle, or files with their paths below the folder (names joined by `/`).
 */
export type FolderSource = { handle: FileSystemDirectoryHandle } | { files: readonly { path: string; file: File }[] };

/** A stream that comes through a port, or a Blob that the worker reads itself. */
export type ArchiveSource = { blob: Blob } | { port: MessagePort };

/**
 * Format and options of an archive. A `file` is not unpacked: it becomes the content of the store
 * path unchanged.
 */
export type ArchiveOptions =
  | ({ format: "tar" } & TarOptions & Addressing)
  | ({ format: "nar" | "file" } & Addressing)
  | { format: "nar"; narInfo: string };

/** File properties that a picked folder can't express and that its import therefore lacks. */
export type NotTold = "executable-bits" | "symlinks" | "empty-directories";

export interface ImportedPathInfo extends PathInfo {
  /**
   * Properties that the source could not express. Executables were then imported as plain files.
   * Symlinks were imported as their targets, or left out.
   */
  readonly notTold: readonly NotTold[];
}

export interface ListEntry {
  /** Name decoded for display; `nameBytes` is the exact name. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly kind: "file" | "directory" | "symlink";
  /** Bytes of a file, number of entries beneath a directory, or bytes of a symlink's target. */
  readonly size: number;
  readonly executable: boolean;
  /** Target of a symlink, decoded for display. */
  readonly target?: string | undefined;
  readonly targetBytes?: Uint8Array | undefined;
  /** BLAKE3 digest (32 bytes) of a file's content or of a directory's encoding. */
  readonly digest?: Uint8Array | undefined;
}

/** Selects a node of a store path to render as a NAR, and a range of that NAR. */
export interface NarPart {
  /** A file, symlink or directory inside the store path; the store path itself by default. */
  path?: string | Uint8Array | undefined;
  /** Byte offset in the NAR at which to start; 0 by default. */
  offset?: number | undefined;
  /** Maximum number of bytes; up to the end of the NAR by default. May reach beyond the end. */
  length?: number | undefined;
}

/** What to include in a nario. */
export interface NarioOptions {
  /** Whether to include the closures of the store paths; true by default. */
  closure?: boolean | undefined;
  /**
   * Whether to include signatures and content addresses, in a place that Nix skips; true by
   * default. Without them the bytes equal the output of `nix-store --export`.
   */
  notes?: boolean | undefined;
}

/** Whether signatures or a content address vouch for a store path. */
export interface SignatureReport {
  /** The state of each signature, in the order of the PathInfo. */
  readonly signatures: readonly CheckedSignature[];
  /** Whether the store path follows from its content address. Such a path needs no signature. */
  readonly contentAddressed: boolean;
}

export interface RemoteAddress {
  readonly url: string;
  readonly protocol: "connect" | "grpc-web";
  readonly dialect: "auto" | "tvix" | "snix";
  readonly headers: readonly (readonly [string, string])[];
  /** Port to the page's own `fetch`, if the page has one (`port-fetch.ts`). */
  readonly fetch?: MessagePort | undefined;
}

export interface SyncOptions {
  /** Whether to copy the closures of the store paths, too; true by default. */
  closure?: boolean | undefined;
}

/** Options for an import from a Nix binary cache. */
export interface BinaryCacheImport extends SyncOptions {
  /**
   * Public keys as `name:base64`, like Nix's setting of this name. A store path is accepted if one
   * of these keys signed it or if it is content-addressed. Without keys, only content-addressed
   * paths are accepted.
   */
  trustedPublicKeys?: readonly string[] | undefined;
  /**
   * `true` by default. `false` accepts every path info of the cache, even without a signature. NARs
   * are then checked only against their NARInfo files.
   */
  requireSignatures?: boolean | undefined;
  /** HTTP headers for each request. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Limits after which a request counts as failed and is retried. */
  timeouts?: Timeouts | undefined;
}

export interface GarbageReport {
  /** Number of deleted chunks, blobs and directories together. */
  readonly objects: number;
  /** Bytes of the deleted chunks and directories. */
  readonly bytes: number;
}

/** Result of `verify`. The store is intact if `corrupt` and `missing` are empty. */
export interface VerifyReport {
  /** Number of objects compared with their digests; `bytes` is their size. */
  readonly objects: number;
  readonly bytes: number;
  /** Stored objects that don't match their digests, and blobs with a damaged chunk. */
  readonly corrupt: readonly DamagedObject[];
  /** Missing objects to which store paths or pins refer. */
  readonly missing: readonly DamagedObject[];
  /** Absolute store paths that are incomplete because of these objects. */
  readonly storePaths: readonly string[];
  /** Number of these store paths that were repaired from the remote. */
  readonly refetched: number;
}

export interface DamagedObject {
  readonly kind: "chunk" | "directory" | "blob" | "path-info";
  /** Digest as `b3:` and base64, or the hash part of the store path. */
  readonly name: string;
}

/** Storage that a store takes. All sizes are in bytes. */
export interface StorageUsage {
  /** Where the store writes new content. */
  readonly storage: "opfs" | "indexeddb";
  readonly storePaths: number;
  /**
   * Total size of the NARs of all store paths: the space that they would take without
   * deduplication.
   */
  readonly logical: number;
  /**
   * Total size of all objects, each counted once; `objects` has it by kind. Deleted objects count
   * until the next garbage collection.
   */
  readonly stored: number;
  readonly objects: Readonly<Record<"chunks" | "directories" | "blobs", { readonly count: number; readonly bytes: number }>>;
  /** Packs that hold the objects. `bytes` includes dead bytes that wait to be rewritten. */
  readonly packs: { readonly count: number; readonly bytes: number };
  /**
   * Storage of the whole origin as the browser estimates it; `quota` is its limit. Both are
   * `undefined` if the browser doesn't report them.
   */
  readonly originUsage: number | undefined;
  readonly quota: number | undefined;
  /** Whether the browser has promised not to evict the origin's data when space gets short. */
  readonly persisted: boolean | undefined;
}
