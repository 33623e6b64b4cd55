import type { Digest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SyncReport } from "../store/sync.ts";

/**
 * What the store worker offers to the page, over Comlink. Each long call takes a port for abort and progress (`operation-port.ts`),
 * and streams travel through ports too (`port-stream.ts`).
 */
export interface StoreApi {
  open(name: string, options: OpenOptions): Promise<void>;
  importFolder(source: FolderSource, options: { name: string }, operation: MessagePort): Promise<ImportedPathInfo>;
  importArchive(source: ArchiveSource, options: ArchiveOptions, operation: MessagePort): Promise<PathInfo>;
  pathInfo(storePath: string): Promise<PathInfo | undefined>;
  /** Sends arrays of PathInfo. */
  pathInfos(to: MessagePort): void;
  /** The entries of a directory in the store path, `undefined` if there is none at `path`. */
  list(storePath: string, path: string | Uint8Array): Promise<ListEntry[] | undefined>;
  node(storePath: string, path: string | Uint8Array): Promise<Node | undefined>;
  readBlob(digest: Digest, range: { offset: number; length: number }, to: MessagePort): void;
  nar(storePath: string, to: MessagePort): void;
  narInfo(storePath: string): Promise<string | undefined>;
  remotePathInfos(remote: RemoteAddress, to: MessagePort): void;
  pull(remote: RemoteAddress, storePaths: string[] | undefined, options: SyncOptions, operation: MessagePort): Promise<SyncReport>;
  push(remote: RemoteAddress, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport>;
  delete(storePath: string): Promise<boolean>;
  collectGarbage(operation: MessagePort): Promise<GarbageReport>;
  close(): Promise<void>;
}

export interface OpenOptions {
  storage: "auto" | "opfs" | "indexeddb";
  durability: "strict" | "relaxed";
  /** How many hash workers. */
  workers: number;
  /** Absolute; where the page does not let the bundler find it. */
  hashWorkerUrl?: string | undefined;
}

/** Files are given with their path below the folder, names joined by `/`. */
export type FolderSource = { handle: FileSystemDirectoryHandle } | { files: readonly { path: string; file: File }[] };

/** A stream comes through a port; a Blob is read by the worker itself. */
export type ArchiveSource = { blob: Blob } | { port: MessagePort };

export type ArchiveOptions = { format: "tar"; name: string } | { format: "nar"; name: string } | { format: "nar"; narInfo: string };

/** What a picked folder can't express, and its import therefore doesn't know. */
export type NotTold = "executable-bits" | "symlinks" | "empty-directories";

export interface ImportedPathInfo extends PathInfo {
  /** The source could not tell of these: executables are imported as plain files, symlinks as what they point to, or not at all. */
  readonly notTold: readonly NotTold[];
}

export interface ListEntry {
  /** Decoded for show; `nameBytes` is the name. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly kind: "file" | "directory" | "symlink";
  /** Bytes of a file; entries beneath a directory; bytes of a symlink's target. */
  readonly size: number;
  readonly executable: boolean;
  /** Of a symlink, decoded for show. */
  readonly target?: string | undefined;
  readonly targetBytes?: Uint8Array | undefined;
  /** BLAKE3, 32 bytes, of a file's content or of a directory's message. */
  readonly digest?: Uint8Array | undefined;
}

export interface RemoteAddress {
  readonly url: string;
  readonly protocol: "connect" | "grpc-web";
  readonly dialect: "auto" | "tvix" | "snix";
  readonly headers: readonly (readonly [string, string])[];
  /** Where requests go if the page has a `fetch` of its own (`port-fetch.ts`). */
  readonly fetch?: MessagePort | undefined;
}

export interface SyncOptions {
  /** Together with all that they refer to; the default. */
  closure?: boolean | undefined;
}

export interface GarbageReport {
  /** Deleted: chunks, blobs and directories together. */
  readonly objects: number;
  /** Bytes of the deleted chunks and directories. */
  readonly bytes: number;
}
