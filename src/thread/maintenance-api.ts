import type { Node } from "../castore/node.ts";
import type { RemoteUse } from "./sync-api.ts";

/** Calls that manage what the store keeps, and check its state. */
export interface MaintenanceApi {
  delete(storePath: string): Promise<boolean>;
  collectGarbage(operation: MessagePort): Promise<GarbageReport>;
  verify(remote: RemoteUse | undefined, operation: MessagePort): Promise<VerifyReport>;
  repair(operation: MessagePort): Promise<RepairReport>;
  usage(): Promise<StorageUsage>;
  pin(name: string, storePath: string): Promise<void>;
  unpin(name: string): Promise<boolean>;
  pins(): Promise<Pin[]>;
}

export interface GarbageReport {
  /** Number of deleted chunks, blobs and directories together. */
  readonly objects: number;
  /** Total size of these objects, in bytes. */
  readonly bytes: number;
}

/** Result of `verify`. The store is intact if `corrupt` and `missing` are empty. */
export interface VerifyReport {
  /** Number of objects compared with their digests; `bytes` is their size. */
  readonly objects: number;
  readonly bytes: number;
  /**
   * Stored objects that don't match their digests, blobs with a damaged or missing chunk, and path
   * infos that break a rule.
   */
  readonly corrupt: readonly DamagedObject[];
  /** Missing objects to which store paths or pins refer. */
  readonly missing: readonly DamagedObject[];
  /**
   * Absolute store paths that are incomplete because of these objects. For a damaged path info,
   * only the hash part.
   */
  readonly storePaths: readonly string[];
  /** Number of these store paths that were repaired from the remote. */
  readonly refetched: number;
}

/** Result of `repair`. */
export interface RepairReport {
  /** Number of packs that were missing from the index and are in it again. */
  readonly packs: number;
  /** Number of objects that are in the index again; `bytes` is their size. */
  readonly objects: number;
  readonly bytes: number;
  /**
   * Objects of these packs that stay out of the index: they don't match their digests, or lack a
   * part of their content.
   */
  readonly damaged: readonly DamagedObject[];
  /** Absolute store paths that were lost and are back, sorted. */
  readonly storePaths: readonly string[];
  /** Absolute store paths that stay lost, because a part of their content is lost; sorted. */
  readonly incomplete: readonly string[];
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
   * Total size of all objects, each counted once. `objects` has the totals of each kind. Objects of
   * deleted store paths count until the next garbage collection.
   */
  readonly stored: number;
  readonly objects: Readonly<Record<"chunks" | "directories" | "blobs", { readonly count: number; readonly bytes: number }>>;
  /**
   * Packs that hold the objects. `bytes` includes each pack's header and trailer, and unreferenced
   * objects that garbage collection has not yet removed from the packs.
   */
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

/**
 * A root of garbage collection that is not a store path. It keeps `node` and everything beneath it.
 */
export interface Pin {
  readonly name: string;
  readonly node: Node;
}
