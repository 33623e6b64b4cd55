import { equalBytes } from "../bytes.ts";
import { isStoreError, StoreError } from "../error.ts";
import { Turn } from "../turn.ts";
import { type Digest, digestKey, digestOf, EMPTY_DIGEST, formatDigest } from "./digest.ts";
import { childDirectories, type Directory, type DirectorySizeRule, SIZE_RULES } from "./directory.ts";
import { LeavesToRootValidator } from "./directory-closure.ts";
import { decodeDirectory, encodeDirectory } from "./directory-codec.ts";
import type { DirectoryService } from "./directory-service.ts";

/** The part of directory storage that a backend implements: it keeps bytes under digests. */
export interface DirectoryStore {
  /** Reads the stored bytes without verifying them; `undefined` for each missing directory. */
  getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]>;
  /** Stores all of the directories or none. Resolves when they can be read back. */
  putMany(directories: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<void>;
}

/** Number of directories that are read at a time. */
const READ_BATCH = 256;
/** Maximum number of directories in a batch that is written. */
const WRITE_BATCH = 1024;
/** Size from which a batch is written, in bytes of encoded directories. */
const WRITE_BYTES = 4 * 1024 * 1024;

/**
 * A DirectoryService on top of a DirectoryStore. It validates and encodes the directories that are
 * written, and checks the directories that are read.
 */
export class StoredDirectoryService implements DirectoryService {
  #store: DirectoryStore;

  constructor(store: DirectoryStore) {
    this.#store = store;
  }

  async get(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<Directory | undefined> {
    options?.signal?.throwIfAborted();
    const [directory] = await this.#getMany([digest]);
    return directory;
  }

  async getClosure(digest: Digest, options?: { signal?: AbortSignal | undefined }): Promise<AsyncIterable<Directory> | undefined> {
    const root = await this.get(digest, options);
    return root && this.#walk(root, options?.signal);
  }

  /**
   * Stores a closure. Directories beneath the root are written as they come, after the directories
   * that they refer to. The root is written only when the closure is complete. So every stored
   * directory has everything that it refers to.
   */
  async put(
    directories: Iterable<Directory> | AsyncIterable<Directory>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Digest> {
    const validator = new LeavesToRootValidator();
    const batch: { digest: Digest; bytes: Uint8Array }[] = [];
    let size = 0;
    for await (const directory of directories) {
      options?.signal?.throwIfAborted();
      const { digest, first } = validator.add(directory);
      if (batch.length >= WRITE_BATCH || size >= WRITE_BYTES) {
        await this.#store.putMany(batch.splice(0));
        size = 0;
      }
      if (!first) continue;
      const bytes = encodeDirectory(directory);
      size += bytes.length;
      batch.push({ digest, bytes });
    }
    const root = validator.finish();
    options?.signal?.throwIfAborted();
    await this.#store.putMany(batch);
    return root;
  }

  /** Our own stores keep trees of either rule unchanged. */
  async sizeRules(): Promise<readonly DirectorySizeRule[]> {
    return SIZE_RULES;
  }

  /** Walks breadth first, and reads the directories in batches. */
  async *#walk(root: Directory, signal: AbortSignal | undefined): AsyncGenerator<Directory> {
    yield root;
    const seen = new Set<string>();
    const queue: Digest[] = [];
    const enqueue = (directory: Directory): void => {
      for (const { digest } of childDirectories(directory)) {
        const key = digestKey(digest);
        if (seen.has(key)) continue;
        seen.add(key);
        queue.push(digest);
      }
    };
    enqueue(root);
    while (queue.length > 0) {
      signal?.throwIfAborted();
      const digests = queue.splice(0, READ_BATCH);
      for (const [i, directory] of (await this.#getMany(digests)).entries()) {
        if (!directory)
          throw new StoreError("not-found", `directory ${formatDigest(digests[i] as Digest)} is missing from the store`);
        enqueue(directory);
        yield directory;
      }
    }
  }

  async #getMany(digests: readonly Digest[]): Promise<(Directory | undefined)[]> {
    const stored = await this.#store.getMany(digests);
    const directories: (Directory | undefined)[] = [];
    const turn = new Turn(undefined, 1);
    for (const [i, digest] of digests.entries()) {
      if (i > 0) await turn.pass();
      const bytes = stored[i];
      directories.push(bytes ? checked(digest, bytes) : equalBytes(digest, EMPTY_DIGEST) ? { entries: [] } : undefined);
    }
    return directories;
  }
}

/**
 * Decodes a stored directory.
 *
 * @throws StoreError `corrupt` if the bytes don't match the digest, or break a rule
 */
function checked(digest: Digest, bytes: Uint8Array): Directory {
  if (!equalBytes(digestOf(bytes), digest))
    throw new StoreError("corrupt", `stored directory ${formatDigest(digest)} is damaged: its bytes don't match its digest`);
  try {
    return decodeDirectory(bytes);
  } catch (error) {
    if (!isStoreError(error, "invalid")) throw error;
    throw new StoreError("corrupt", `stored directory ${formatDigest(digest)} breaks a rule: ${error.message}`, { cause: error });
  }
}
