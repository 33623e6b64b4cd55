/** The entry point for a page. */

export { type DroppedFolder, droppedItems } from "./browser/dropped.ts";
export { keepOffline, type OfflineShell, type OfflineState } from "./browser/offline.ts";
export { deleteStore, type OpenStoreOptions, openStore } from "./browser/open-store.ts";
export { connectRemote, type Remote, type RemoteOptions } from "./browser/remote.ts";
export { importStaticCache } from "./browser/static-cache.ts";
export type { Store } from "./browser/store.ts";
export type { Archive } from "./browser/store-calls.ts";
export type { StoreFile } from "./browser/store-file.ts";
export type { FileNode, Node } from "./castore/node.ts";
export { isStoreError, STORE_ERROR_CODES, StoreError, type StoreErrorCode } from "./error.ts";
export type { NarListingJson, NarListingJsonNode } from "./nix/nar-listing.ts";
export type { OperationOptions, Progress, ProgressCallback, ProgressUnit } from "./progress.ts";
export type { Addressing } from "./store/addressing.ts";
export { type FailedPath, FailedPathsError, type PathsReport } from "./store/failed-paths.ts";
export type { ListEntry } from "./store/list-entry.ts";
export type { PathInfo } from "./store/path-info.ts";
export type { SignatureReport } from "./store/signature-report.ts";
export type { CheckedSignature, SignatureState } from "./store/signatures.ts";
export type { SubstituteReport } from "./store/substitute.ts";
export type { SyncReport } from "./store/sync.ts";
export type { ImportedPathInfo, NotTold } from "./thread/import-api.ts";
export type { DamagedObject, GarbageReport, Pin, RepairReport, StorageUsage, VerifyReport } from "./thread/maintenance-api.ts";
export type { NarioOptions, NarPart } from "./thread/read-api.ts";
export type { BinaryCacheImport } from "./thread/sync-api.ts";
export type { Timeouts } from "./timeouts.ts";
