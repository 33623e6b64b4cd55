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
   * Stores `info` in the place of what was there under the same hash part, and answers what was stored. Its content must be there
   * already: this is what makes it visible. Resolves when it survives a crash, where the backend can promise that at all.
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
