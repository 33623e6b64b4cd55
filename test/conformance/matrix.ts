/** A line of the matrix. */
interface Row {
  readonly runtimes: readonly ("node" | "browser")[];
  /**
   * Address that `openServices` opens in Node. `DIR` stands for an empty directory, and `DAEMON`
   * for the host and port of an empty daemon. The suites are those of the services that the backend
   * offers. Without an address, backends.test.ts opens the backend.
   */
  readonly address?: string;
  /** Whether its PathInfoService can delete. */
  readonly canDelete?: boolean;
  /** Backends, classes and functions that the suites cover there. */
  readonly covers: readonly string[];
}

/**
 * Every backend, with the runtimes of its suites and the code that the suites cover there.
 *
 * `guard.test.ts` fails if this list lacks a backend of the registry, a class that implements one
 * of the interfaces, or a function that creates a service. The test files must have an entry for
 * each name without an address, so none can be forgotten.
 */
export const MATRIX = {
  memory: {
    runtimes: ["node", "browser"],
    address: "memory:",
    canDelete: true,
    covers: [
      ...["memoryBackend", "openServices", "createMemoryStore", "ChunkedBlobService", "StoredDirectoryService"],
      ...["MemoryChunkStore", "MemoryDirectoryStore", "MemoryPathInfoService"],
    ],
  },
  // Directories as a page reads them.
  "memory, cached": {
    runtimes: ["node", "browser"],
    canDelete: true,
    covers: ["CachedDirectories"],
  },
  // Directories as a read-only daemon serves them.
  "memory, derived": {
    runtimes: ["node"],
    canDelete: true,
    covers: ["DerivedDirectories", "asStore"],
  },
  "memory, read-only": {
    runtimes: ["node"],
    covers: ["readOnly"],
  },
  // Path infos as a daemon with a signing key stores them.
  "memory, signing": {
    runtimes: ["node"],
    covers: ["signing"],
  },
  // References as they are written when content is at another address.
  "memory, flushed before references": {
    runtimes: ["node"],
    canDelete: true,
    covers: ["publishAfter", "putAfter", "storeAfter"],
  },
  // The same store with each of the storage places for packs.
  "packs in IndexedDB": {
    runtimes: ["browser"],
    canDelete: true,
    covers: ["IndexedDbPacks", "PackedChunkStore", "PackedDirectoryStore", "PackedPathInfoService", "services"],
  },
  "packs in OPFS": {
    runtimes: ["browser"],
    canDelete: true,
    covers: ["OpfsPacks", "PackedChunkStore", "PackedDirectoryStore", "PackedPathInfoService", "services"],
  },
  // Opened by `openEmbeddedStore`: files in the object store layout, and LMDB.
  embedded: {
    runtimes: ["node"],
    address: "file:DIR",
    canDelete: true,
    covers: ["embeddedBackend", "openEmbeddedStore", "ObjectChunkStore", "LmdbDirectoryStore", "LmdbPathInfoService"],
  },
  // Blobs and closures of directories, in the layout of snix.
  "object store on files": {
    runtimes: ["node"],
    address: "objectstore+file:DIR",
    covers: ["objectStoreBackend", "objectCastore", "ObjectChunkStore", "ClosureDirectoryService"],
  },
  "object store in memory": {
    runtimes: ["node"],
    address: "objectstore+memory:",
    covers: ["memoryObjectStoreBackend", "objectCastore", "ObjectChunkStore", "ClosureDirectoryService"],
  },
  // Connected to a live daemon, with each of the three protocols.
  "remote over gRPC": {
    runtimes: ["node"],
    address: "grpc+http://DAEMON",
    covers: ["grpcBackend", "connectRemoteStore", "RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  "remote over Connect": {
    runtimes: ["node", "browser"],
    covers: ["connectRemoteAddress", "RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  "remote over gRPC-Web": {
    runtimes: ["node", "browser"],
    covers: ["connectRemoteAddress", "RemoteBlobService", "RemoteDirectoryService", "RemotePathInfoService"],
  },
  // The services beside a binary cache.
  "remote at a cache's address": {
    runtimes: ["node"],
    covers: ["connectCacheCastore"],
  },
  // Only path infos: they come from a cache that the tests fill, and the content is in memory.
  "nix binary cache": {
    runtimes: ["node"],
    covers: ["nixCacheBackend", "substituted", "NixCachePathInfoService"],
  },
} as const satisfies Record<string, Row>;

/** The lines, by name, without the exact types of each. */
export const ROWS: Readonly<Record<string, Row>> = MATRIX;

type Matrix = typeof MATRIX;

/** Names of the backends that backends.test.ts opens by their address. */
type WithAddress = { [Name in keyof Matrix]: Matrix[Name] extends { address: string } ? Name : never }[keyof Matrix];

/** Names of the backends whose suites run in `Runtime`. */
type In<Runtime extends "node" | "browser"> = {
  [Name in keyof Matrix]: Runtime extends Matrix[Name]["runtimes"][number] ? Name : never;
}[keyof Matrix];

/** Names of the backends that the test file of a runtime opens itself. */
export type OpenedInNode = Exclude<In<"node">, WithAddress>;
export type OpenedInBrowser = In<"browser">;

/**
 * Every ObjectStore, with the code that its suite covers. `object-stores.test.ts` must have an
 * entry for each name.
 */
export const OBJECT_STORES = {
  memory: { covers: ["MemoryObjectStore"] },
  files: { covers: ["FileObjectStore"] },
  "files, staged": { covers: ["StagedObjectStore"] },
  "files, staged, with a journal": { covers: ["StagedObjectStore"] },
} as const satisfies Record<string, { readonly covers: readonly string[] }>;
