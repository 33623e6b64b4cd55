import { type Digest, digestKey } from "./digest.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryService } from "./directory-service.ts";

/** Entries of all kept directories together: some 5 MB. */
const KEPT_ENTRIES = 8192;

/**
 * A DirectoryService that keeps what was read last: a page looks up one path after the other, and each leads through the same directories, which
 * take longer to check than to read. What is kept is right as long as its digest is, but may be gone from the store: `clear` when that matters.
 */
export class CachedDirectories implements DirectoryService {
  readonly #directories: DirectoryService;
  /** Least recently used first. */
  readonly #kept = new Map<string, Directory>();
  #entries = 0;

  constructor(directories: DirectoryService) {
    this.#directories = directories;
  }

  clear(): void {
    this.#kept.clear();
    this.#entries = 0;
  }

  async get(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<Directory | undefined> {
    options?.signal?.throwIfAborted();
    const key = digestKey(digest);
    const kept = this.#kept.get(key);
    const directory = kept ?? (await this.#directories.get(digest, options));
    if (!directory) return undefined;
    if (this.#kept.delete(key)) this.#entries -= directory.entries.length + 1;
    this.#kept.set(key, directory);
    this.#entries += directory.entries.length + 1;
    for (const [oldest, { entries }] of this.#kept) {
      if (this.#entries <= KEPT_ENTRIES) break;
      this.#kept.delete(oldest);
      this.#entries -= entries.length + 1;
    }
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
}
