import type { PathInfo } from "./path-info.ts";

/**
 * Maps store paths to their PathInfos. The key is the hash part of the store path: the 32
 * characters of nixbase32 before the first dash of the base name.
 *
 * `put` checks a PathInfo with `checkPathInfo` before it stores the PathInfo. `get` and `list`
 * return a PathInfo in the form that the last `put` of its path returned. A service that reads
 * PathInfos from a disk, a database or a remote checks them again before it returns them.
 */
export interface PathInfoService {
  /** Returns `undefined` if the path is missing. */
  get(hashPart: string, options?: { signal?: AbortSignal | undefined }): Promise<PathInfo | undefined>;

  /**
   * Publishes a store path, or adds facts to a published one. The path's content must already be in
   * the store. `mergePathInfo` has the rules: for example, signatures are merged. The call is one
   * atomic step, except at the daemons of tvix and snix, which overwrite the earlier PathInfo.
   *
   * Resolves to the stored PathInfo, once it survives a crash, as far as the backend can guarantee
   * that.
   *
   * @throws StoreError `conflict` if the service has the path with other content or other
   *   references; `denied` if the service accepts no writes
   */
  put(info: PathInfo, options?: { signal?: AbortSignal | undefined }): Promise<PathInfo>;

  /**
   * Yields all path infos, ordered by hash part if the backend has an order.
   *
   * @throws StoreError `denied` if the service can't list its paths, like a binary cache
   */
  list(options?: { signal?: AbortSignal | undefined }): AsyncIterable<PathInfo>;
}

/** A PathInfoService of our own storage, which can delete paths. Remote services can't. */
export interface LocalPathInfoService extends PathInfoService {
  /**
   * Deletes a path. Its content stays until the next garbage collection.
   *
   * @returns whether the path was there
   */
  delete(hashPart: string): Promise<boolean>;
}
