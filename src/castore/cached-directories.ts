import { RecentlyUsed } from "../recently-used.ts";
import { type Digest, digestKey } from "./digest.ts";
import type { Directory, DirectorySizeRule } from "./directory.ts";
import type { DirectoryService } from "./directory-service.ts";

/** Maximum number of entries in all cached directories together: some 5 MB. */
const KEPT_ENTRIES = 8192;

/**
 * A DirectoryService that caches the directories read last. A page looks up one path after another,
 * and the paths share their upper directories. Checking these directories takes longer than reading
 * them.
 *
 * A cached directory always matches its digest, but the store may have deleted it since. Call
 * `clear` when that matters.
 */
export class CachedDirectories implements DirectoryService {
  readonly #directories: DirectoryService;
  readonly #kept = new RecentlyUsed<string, Directory>(KEPT_ENTRIES, ({ entries }) => entries.length + 1);

  constructor(directories: DirectoryService) {
    this.#directories = directories;
  }

  clear(): void {
    this.#kept.clear();
  }

  async get(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<Directory | undefined> {
    options?.signal?.throwIfAborted();
    const key = digestKey(digest);
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const directory = await this.#directories.get(digest, options);
    if (directory) this.#kept.set(key, directory);
    return directory;
  }

  getClosure(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<AsyncIterable<Directory> | undefined> {
    return this.#directories.getClosure(digest, options);
  }

  put(
    directories: Iterable<Directory> | AsyncIterable<Directory>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Digest> {
    return this.#directories.put(directories, options);
  }

  sizeRules(options?: { signal?: AbortSignal | undefined }): Promise<readonly DirectorySizeRule[]> {
    return this.#directories.sizeRules(options);
  }
}
