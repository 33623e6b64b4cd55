/** The entry point for a page. */

export { type DroppedFolder, droppedItems } from "./browser/dropped.ts";
export { keepOffline, type OfflineShell, type OfflineState } from "./browser/offline.ts";
export { deleteStore, type OpenStoreOptions, openStore } from "./browser/open-store.ts";
export { connectRemote, type Remote, type RemoteOptions } from "./browser/remote.ts";
export { importStaticCache } from "./browser/static-cache.ts";
export type { Archive, Store } from "./browser/store.ts";
export type { StoreFile } from "./browser/store-file.ts";
export type { FileNode, Node } from "./castore/node.ts";
export { isStoreError, STORE_ERROR_CODES, StoreError, type StoreErrorCode } from "./error.ts";
export type { NarListingJson, NarListingJsonNode } from "./nix/nar-listing.ts";
export type { OperationOptions, Progress, ProgressCallback, ProgressUnit } from "./progress.ts";
export type { Addressing } from "./store/addressing.ts";
export { type FailedPath, FailedPathsError, type PathsReport } from "./store/failed-paths.ts";
export type { PathInfo } from "./store/path-info.ts";
export type { CheckedSignature, SignatureState } from "./store/signatures.ts";
export type { SubstituteReport } from "./store/substitute.ts";
export type { SyncReport } from "./store/sync.ts";
export type {
  BinaryCacheImport,
  DamagedObject,
  GarbageReport,
  ImportedPathInfo,
  ListEntry,
  NarioOptions,
  NarPart,
  NotTold,
  Pin,
  SignatureReport,
  StorageUsage,
  VerifyReport,
} from "./thread/store-api.ts";
export type { Timeouts } from "./timeouts.ts";
