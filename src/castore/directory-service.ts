import type { Digest } from "./digest.ts";
import type { Directory, DirectorySizeRule } from "./directory.ts";

/**
 * Directories, named by the digest of their canonical encoding.
 *
 * What every implementation owes its caller (test/conformance checks it): the empty Directory is always there; what comes out was
 * checked against its digest and against every rule, and where it fails, rejects with `corrupt`, naming the digest.
 */
export interface DirectoryService {
  /** `undefined` if it is missing. */
  get(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<Directory | undefined>;

  /**
   * The directory and all that it leads to: root first, each one only after one that refers to it, none twice. `undefined` if the
   * root is missing; the iteration throws `not-found` if one beneath it is.
   */
  getClosure(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<AsyncIterable<Directory> | undefined>;

  /**
   * Stores a closure, leaves first, and answers the digest of the last one, the root. The rules are those of
   * `LeavesToRootValidator`; a broken one rejects with `invalid`, and then the root is not visible. Resolves when all can be read back.
   */
  put(directories: Iterable<Directory> | AsyncIterable<Directory>, options?: { signal?: AbortSignal | undefined }): Promise<Digest>;

  /**
   * The size rules that `put` accepts, never none, the one first that new trees should use. Every
   * writer asks, because the rule decides the digests. May write a small tree to find out, so ask
   * only before a write.
   */
  sizeRules(options?: { signal?: AbortSignal | undefined }): Promise<readonly DirectorySizeRule[]>;
}
