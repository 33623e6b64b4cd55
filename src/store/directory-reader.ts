import { type Digest, digestKey, formatDigest } from "../castore/digest.ts";
import type { Directory } from "../castore/directory.ts";
import { directoryDigest } from "../castore/directory-codec.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import { StoreError } from "../error.ts";

/** Entries kept of all directories together: some 10 MB. */
const KEPT_ENTRIES = 32 * 1024;

/**
 * Reads the directories beneath one root, in any order and any number of times, without a round
 * trip for each. It reads the root's closure as one stream, and keeps the directories that arrive
 * before they are wanted. If these become too many, it closes the stream and reads directories one
 * by one.
 */
export class DirectoryReader {
  readonly #directories: DirectoryService;
  readonly #root: Digest;
  readonly #signal: AbortSignal | undefined;
  readonly #kept = new Map<string, Directory>();
  #keptEntries = 0;
  #closure: AsyncIterator<Directory> | undefined;
  #opened = false;

  constructor(directories: DirectoryService, root: Digest, signal?: AbortSignal) {
    this.#directories = directories;
    this.#root = root;
    this.#signal = signal;
  }

  /** Returns the directory if it was read before and is still kept. */
  kept(digest: Digest): Directory | undefined {
    return this.#kept.get(digestKey(digest));
  }

  /**
   * Reads one directory.
   *
   * @throws StoreError `not-found` if the directory is missing; the message names it
   */
  async read(digest: Digest): Promise<Directory> {
    const key = digestKey(digest);
    const kept = this.#kept.get(key);
    if (kept) return kept;
    if (!this.#opened) {
      this.#opened = true;
      const closure = await this.#directories.getClosure(this.#root, { signal: this.#signal });
      this.#closure = closure?.[Symbol.asyncIterator]();
    }
    while (this.#closure) {
      this.#signal?.throwIfAborted();
      const { done, value } = await this.#closure.next();
      if (done) {
        this.#closure = undefined;
        break;
      }
      const got = digestKey(directoryDigest(value));
      this.#keep(got, value);
      if (got === key) return value;
      if (this.#keptEntries > KEPT_ENTRIES) await this.close();
    }
    this.#signal?.throwIfAborted();
    const directory = await this.#directories.get(digest, { signal: this.#signal });
    if (!directory) throw new StoreError("not-found", `directory ${formatDigest(digest)} is missing from the store`);
    while (this.#keptEntries > KEPT_ENTRIES) this.#forgetOldest();
    this.#keep(key, directory);
    return directory;
  }

  /** Closes the closure's stream. Later reads fetch directories one by one. */
  async close(): Promise<void> {
    const closure = this.#closure;
    this.#closure = undefined;
    await closure?.return?.();
  }

  #keep(key: string, directory: Directory): void {
    this.#kept.set(key, directory);
    this.#keptEntries += directory.entries.length + 1;
  }

  #forgetOldest(): void {
    for (const [key, directory] of this.#kept) {
      this.#kept.delete(key);
      this.#keptEntries -= directory.entries.length + 1;
      return;
    }
  }
}
