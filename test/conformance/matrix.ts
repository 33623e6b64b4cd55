import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";

/** A backend for the suites. Each `open` creates an empty one. */
export interface Backend {
  readonly name: string;
  /** Whether its PathInfoService can delete. */
  readonly canDelete: boolean;
  /**
   * Puts a path where a read-only PathInfoService reads from. The path's content is in `store`. If
   * this function exists, the suite tests the rules of reading, and that writes are refused.
   */
  readonly publish?: ((store: StoreServices, info: PathInfo) => Promise<void>) | undefined;
  open(): Promise<{ store: StoreServices; close(): Promise<void> }>;
}

/**
 * Every backend, with the runtimes of its suites and the classes that the suites cover there.
 *
 * `guard.test.ts` fails if a class that implements one of the interfaces is not in this list. The
 * test files must have an entry for each of these names, so none can be forgotten.
 */
export const MATRIX = {
  memory: {
    runtimes: ["node", "browser"],
    covers: ["ChunkedBlobService", "StoredDirectoryService", "MemoryChunkStore", "MemoryDirectoryStore", "MemoryPathInfoService"],
  },
  // Directories as a page reads them.
  "memory, cached": {
    runtimes: ["node", "browser"],
    covers: ["CachedDirectories"],
  },
  // Directories as a read-only daemon serves them.
  "memory, derived": {
    runtimes: ["node"],
    covers: ["DerivedDirectories"],
  },
  // The same store with each of the storage places for packs.
  "packs in IndexedDB": {
    runtimes: ["browser"],
    covers: ["IndexedDbPacks", "PackedChunkStore", "PackedDirectoryStore", "PackedPathInfoService"],
  },
  "packs in OPFS": {
    runtimes: ["browser"],
    covers: ["OpfsPacks", "PackedChunkStore", "PackedDirectoryStore", "PackedPathInfoService"],
  },
  // Opened by `openEmbeddedStore`: files in the object store layout, and LMDB.
  embedded: {
    runtimes: ["node"],
    covers: ["FileChunkStore", "LmdbDirectoryStore", "LmdbPathInfoService"],
  },
  // Connected to a live daemon, with each of the three protocols.
  "remote over gRPC": {
    runtimes: ["node"],
    covers: ["RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  "remote over Connect": {
    runtimes: ["node", "browser"],
    covers: ["RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  // Only path infos: they come from a cache that the tests fill, and the content is in memory.
  "nix binary cache": {
    runtimes: ["node"],
    covers: ["NixCachePathInfoService"],
  },
  "remote over gRPC-Web": {
    runtimes: ["node", "browser"],
    covers: ["RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
} as const satisfies Record<string, { runtimes: readonly ("node" | "browser")[]; covers: readonly string[] }>;

export type BackendName = keyof typeof MATRIX;

/** The backends whose suites run in `Runtime`. */
export type BackendsIn<Runtime extends "node" | "browser"> = {
  [Name in BackendName]: Runtime extends (typeof MATRIX)[Name]["runtimes"][number] ? Name : never;
}[BackendName];
