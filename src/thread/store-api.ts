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
 * What the store worker offers to the page, over Comlink. Each long call takes a port for abort and progress (`operation-port.ts`),
 * and streams travel through ports too (`port-stream.ts`).
 */
export interface StoreApi {
  open(name: string, options: OpenOptions, operation?: MessagePort): Promise<OpenReport>;
  /** Answers as soon as the worker gets to it. */
  ping(): void;
  importFolder(source: FolderSource, options: Addressing, operation: MessagePort): Promise<ImportedPathInfo>;
  importArchive(source: ArchiveSource, options: ArchiveOptions, operation: MessagePort): Promise<PathInfo>;
  importNario(source: ArchiveSource, operation: MessagePort): Promise<PathInfo[]>;
  pathInfo(storePath: string): Promise<PathInfo | undefined>;
  /** Sends arrays of PathInfo. */
  pathInfos(to: MessagePort): void;
  /** The entries of a directory in the store path, `undefined` if there is none at `path`. */
  list(storePath: string, path: string | Uint8Array): Promise<ListEntry[] | undefined>;
  node(storePath: string, path: string | Uint8Array): Promise<Node | undefined>;
  readBlob(digest: Digest, range: { offset: number; length: number }, to: MessagePort): void;
  /** The same for a range that is not worth a stream. */
  readBytes(digest: Digest, range: { offset: number; length: number }): Promise<Uint8Array>;
  nar(storePath: string, part: NarPart, to: MessagePort): void;
  /** @param storePaths all paths of the store if not given */
  nario(storePaths: string[] | undefined, options: NarioOptions, operation: MessagePort, to: MessagePort): void;
  /** As JSON. */
  narListing(storePath: string, path: string | Uint8Array): Promise<string>;
  verifySignatures(storePath: string, trustedPublicKeys: string[]): Promise<SignatureReport>;
  /** @param candidates all paths of the store if not given */
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
  /** Writes one blob, and keeps it under the name of a pin. */
  importBlob(source: ArchiveSource, pin: string, operation: MessagePort): Promise<FileNode>;
  pin(name: string, storePath: string): Promise<void>;
  unpin(name: string): Promise<boolean>;
  pins(): Promise<Pin[]>;
  /** The page heard of a change: what it asks from now on is answered from the store, not from what was read before. */
  changed(): void;
  destroy(name: string, operation?: MessagePort): Promise<void>;
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

export interface OpenReport {
  /** Of the store, from when it was made on: another one means that the browser threw the store away. */
  readonly id: string;
  /** Where new content goes. */
  readonly storage: "opfs" | "indexeddb";
  /** Packs that should be there and are not. */
  readonly missingPacks: number;
}

/** A root of garbage collection that is no store path: `node`, and all beneath it, stays. */
export interface Pin {
  readonly name: string;
  readonly node: Node;
}

/** Files are given with their path below the folder, names joined by `/`. */
export type FolderSource = { handle: FileSystemDirectoryHandle } | { files: readonly { path: string; file: File }[] };

/** A stream comes through a port; a Blob is read by the worker itself. */
export type ArchiveSource = { blob: Blob } | { port: MessagePort };

/** A `file` is its own content. */
export type ArchiveOptions =
  | ({ format: "tar" } & TarOptions & Addressing)
  | ({ format: "nar" | "file" } & Addressing)
  | { format: "nar"; narInfo: string };

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

/** What of a store path is rendered as a NAR, and what of that NAR is wanted. */
export interface NarPart {
  /** A file, symlink or directory inside of the store path; itself if not given. */
  path?: string | Uint8Array | undefined;
  /** Bytes of the NAR to begin after. */
  offset?: number | undefined;
  /** Bytes at most; what lies beyond the end is left out. All of it if not given. */
  length?: number | undefined;
}

/** What a nario holds. */
export interface NarioOptions {
  /** Whether the closures of the store paths go along; by default they do. */
  closure?: boolean | undefined;
  /**
   * Whether signatures and content addresses are kept, in a place that Nix skips; by default they are.
   * Without them the bytes are those that `nix-store --export` writes.
   */
  notes?: boolean | undefined;
}

/** Who vouches for what a store path is. */
export interface SignatureReport {
  /** Each signature, in the order of the PathInfo. */
  readonly signatures: readonly CheckedSignature[];
  /** Whether its content address makes its path: then it needs no signature. */
  readonly contentAddressed: boolean;
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

/** How store paths come from a Nix binary cache. */
export interface BinaryCacheImport extends SyncOptions {
  /**
   * `name:base64`, as in Nix's setting of this name: a path is taken if one of these keys signed it, or if it is content-addressed. Without
   * keys only the latter are.
   */
  trustedPublicKeys?: readonly string[] | undefined;
  /** `false` takes whatever the cache says a path is: NARs are checked against its NARInfo only. */
  requireSignatures?: boolean | undefined;
  /** Sent with each request. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** After which a request counts as failed, and is tried again. */
  timeouts?: Timeouts | undefined;
}

export interface GarbageReport {
  /** Deleted: chunks, blobs and directories together. */
  readonly objects: number;
  /** Bytes of the deleted chunks and directories. */
  readonly bytes: number;
}

/** What `verify` found. The store is whole if nothing is corrupt or missing. */
export interface VerifyReport {
  /** Objects that were compared with their digests, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  /** What is there and is not what its digest says; blobs also if one of their chunks is damaged. */
  readonly corrupt: readonly DamagedObject[];
  /** What store paths or pins refer to and is not there. */
  readonly missing: readonly DamagedObject[];
  /** Absolute store paths that are not whole because of it. */
  readonly storePaths: readonly string[];
  /** Of these, how many were made whole from the remote. */
  readonly refetched: number;
}

export interface DamagedObject {
  readonly kind: "chunk" | "directory" | "blob" | "path-info";
  /** The digest as `b3:` and base64, or the hash part of the store path. */
  readonly name: string;
}

/** What a store takes. All sizes in bytes. */
export interface StorageUsage {
  /** Where new content goes. */
  readonly storage: "opfs" | "indexeddb";
  readonly storePaths: number;
  /** Of the NARs of all store paths: what they would take by themselves. */
  readonly logical: number;
  /** Of all objects, each once, and by their kinds. Deleted ones count until garbage is collected. */
  readonly stored: number;
  readonly objects: Readonly<Record<"chunks" | "directories" | "blobs", { readonly count: number; readonly bytes: number }>>;
  /** Of the packs that objects lie in, with what is dead in them and waits to be rewritten. */
  readonly packs: { readonly count: number; readonly bytes: number };
  /** Of all that this origin keeps, as the browser estimates it, and how much it may keep; `undefined` where the browser does not tell. */
  readonly originUsage: number | undefined;
  readonly quota: number | undefined;
  /** Whether the browser has promised not to throw it away when room gets short. */
  readonly persisted: boolean | undefined;
}
