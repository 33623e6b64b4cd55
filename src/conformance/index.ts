/**
 * `tvix-store-web/conformance`: the rules of the service interfaces as tests for Vitest, for
 * programs that implement a backend of their own. Call a suite at the top level of a test file.
 */

export type { BlobService, BlobStat, BlobWriter, ChunkMeta, ReadBlobOptions, StatBlobOptions } from "../castore/blob-service.ts";
export type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../castore/chunk-store.ts";
export type { Digest } from "../castore/digest.ts";
export type { Directory, DirectorySizeRule } from "../castore/directory.ts";
export type { DirectoryService } from "../castore/directory-service.ts";
export type { DirectoryStore } from "../castore/directory-store.ts";
export type {
  GetObjectOptions,
  ObjectGroup,
  ObjectInfo,
  ObjectStore,
  ObjectStoreOptions,
  PutObjectOptions,
} from "../castore/object-store.ts";
export type { PathInfo } from "../store/path-info.ts";
export type { LocalPathInfoService, PathInfoService } from "../store/path-info-service.ts";
export type { StoreServices } from "../store/services.ts";
export { blobServiceSuite } from "./blob-service.ts";
export { directoryServiceSuite } from "./directory-service.ts";
export { objectStoreSuite, type SuiteObjectStore } from "./object-store.ts";
export { pathInfoServiceSuite } from "./path-info-service.ts";
export type { OpenedBackend, SuiteBackend, WritableServices } from "./suite-backend.ts";
