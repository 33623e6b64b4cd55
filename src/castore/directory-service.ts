import type { Digest } from "./digest.ts";
import type { Directory, DirectorySizeRule } from "./directory.ts";

/**
 * Directories, each named by the digest of its canonical encoding.
 *
 * Rules for every implementation (src/conformance checks them):
 * - The empty Directory always exists.
 * - The service checks each directory against its digest, and against the rules for a single
 *   directory (`checkDirectory`), before the directory comes out. If a check fails, the call
 *   rejects with `corrupt`, and the message names the digest.
 */
export interface DirectoryService {
  /**
   * Reads one directory; `undefined` if it is missing. A service that stores whole closures finds a
   * directory beneath a root only after the directory's parent was read from this service, or a
   * closure that contains the directory was read from it or written to it.
   */
  get(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<Directory | undefined>;

  /**
   * Streams a directory and everything reachable from it: the root first, each directory after one
   * that refers to it, no directory twice. `undefined` if the root is missing. If a directory
   * beneath the root is missing, the iteration throws `not-found`, or `corrupt` if a remote sends
   * an incomplete closure without an error.
   */
  getClosure(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<AsyncIterable<Directory> | undefined>;

  /**
   * Stores a closure, leaves first. Resolves when all of it can be read back. The rules are those
   * of `LeavesToRootValidator`. After an error the root is not visible.
   *
   * @returns digest of the last directory, which is the root
   * @throws StoreError `invalid` if the closure breaks a rule
   */
  put(directories: Iterable<Directory> | AsyncIterable<Directory>, options?: { signal?: AbortSignal | undefined }): Promise<Digest>;

  /**
   * Returns the size rules that `put` accepts, at least one. The first one is the rule that new
   * trees should use. Every writer must ask for the rules, because the digests depend on them. A
   * remote implementation may have to write a small tree to find out, so ask only before a write.
   *
   * @throws StoreError `denied` if the service accepts no writes
   */
  sizeRules(options?: { signal?: AbortSignal | undefined }): Promise<readonly DirectorySizeRule[]>;
}
