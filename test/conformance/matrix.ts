import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";

/** A backend as the suites want it: opened afresh, empty. */
export interface Backend {
  readonly name: string;
  /** Whether its PathInfoService can forget. */
  readonly canDelete: boolean;
  /**
   * For a PathInfoService that is only read: brings a path, whose content is in `store`, to where the service reads from. Then the suite
   * asks for the rules of reading, and that writing is refused.
   */
  readonly publish?: ((store: StoreServices, info: PathInfo) => Promise<void>) | undefined;
  open(): Promise<{ store: StoreServices; close(): Promise<void> }>;
}

/**
 * Every backend, where its suites run, and which classes they cover there. `guard.test.ts` fails when a class that implements one of
 * the interfaces is not in this list; the test files take their backends by these names, so that none can be left out.
 */
export const MATRIX = {
  memory: {
    runtimes: ["node", "browser"],
    covers: ["ChunkedBlobService", "StoredDirectoryService", "MemoryChunkStore", "MemoryDirectoryStore", "MemoryPathInfoService"],
  },
  // Directories as a page looks them up.
  "memory, cached": {
    runtimes: ["node", "browser"],
    covers: ["CachedDirectories"],
  },
  // Directories as a read-only daemon shows them.
  "memory, derived": {
    runtimes: ["node"],
    covers: ["DerivedDirectories"],
  },
  // The same store over each of the places for packs.
  "packs in IndexedDB": {
    runtimes: ["browser"],
    covers: ["IndexedDbPacks", "PackedChunkStore", "PackedDirectoryStore", "PackedPathInfoService"],
  },
  "packs in OPFS": {
    runtimes: ["browser"],
    covers: ["OpfsPacks", "PackedChunkStore", "PackedDirectoryStore", "PackedPathInfoService"],
  },
  // Through `openEmbeddedStore`: the object store layout on files, and LMDB.
  embedded: {
    runtimes: ["node"],
    covers: ["FileChunkStore", "LmdbDirectoryStore", "LmdbPathInfoService"],
  },
  // Against a live daemon, over each of the three protocols.
  "remote over gRPC": {
    runtimes: ["node"],
    covers: ["RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  "remote over Connect": {
    runtimes: ["node", "browser"],
    covers: ["RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  // Path infos alone: over a cache that tests fill, with the content in memory.
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
