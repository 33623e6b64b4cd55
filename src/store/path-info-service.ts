import type { PathInfo } from "./path-info.ts";

/**
 * Store paths, by the hash part of their name (32 characters of nixbase32).
 *
 * What every implementation owes its caller (test/conformance checks it): a PathInfo comes out as it went in, and what comes out was
 * checked against `checkPathInfo`.
 */
export interface PathInfoService {
  /** `undefined` if it is missing. */
  get(hashPart: string, options?: { signal?: AbortSignal | undefined }): Promise<PathInfo | undefined>;

  /**
   * Makes a store path visible, whose content must be there already, or adds to what is known of it.
   * The rules are those of `mergePathInfo`: signatures add up, and other content or other references
   * reject with `conflict`. That is one atomic step, but for stock remotes, which overwrite. Resolves
   * to what is stored, when it survives a crash, where the backend can promise that at all.
   */
  put(info: PathInfo, options?: { signal?: AbortSignal | undefined }): Promise<PathInfo>;

  /** All of them, ordered by hash part where the backend has an order. */
  list(options?: { signal?: AbortSignal | undefined }): AsyncIterable<PathInfo>;
}

/** A PathInfoService of our own, which may forget. The services of a remote can't. */
export interface LocalPathInfoService extends PathInfoService {
  /** Whether it was there. The content stays until garbage is collected. */
  delete(hashPart: string): Promise<boolean>;
}
