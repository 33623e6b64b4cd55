import { type Digest, digestKey } from "../castore/digest.ts";
import type { Directory, DirectorySizeRule } from "../castore/directory.ts";
import { directoryDigest, encodeDirectory } from "../castore/directory-codec.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import { type DirectoryStore, StoredDirectoryService } from "../castore/directory-store.ts";
import { isStoreError, StoreError } from "../error.ts";
import { RecentlyUsed } from "../recently-used.ts";

/** Bytes of all trees in memory together. A larger tree is not kept. */
const MAX_KEPT = 32 * 1024 * 1024;

/** Bytes that a directory in memory costs besides its encoding. */
const DIRECTORY_COST = 300;

type Abortable = { signal?: AbortSignal | undefined };

export interface DerivedDirectoriesOptions {
  /** Whether to keep derived trees in memory and write none of them, for a read-only store. */
  inMemory?: boolean | undefined;
  /** Bytes of all trees in memory together; 32 MiB by default. */
  limit?: number | undefined;
}

/**
 * A DirectoryService that adds derived trees to those of its store: the server derives them from
 * stored trees. By default, the store itself keeps them. For a read-only store, this object keeps
 * them in memory and evicts the least recently used trees first. A store that accepts writes must
 * not keep them in memory: a client that finds a tree there would put path infos that refer to it.
 */
export class DerivedDirectories implements DirectoryService {
  readonly #store: DirectoryService;
  readonly #kept: KeptTrees;
  readonly #inMemory: DirectoryService | undefined;

  constructor(store: DirectoryService, { inMemory = false, limit = MAX_KEPT }: DerivedDirectoriesOptions = {}) {
    this.#store = store;
    this.#kept = new KeptTrees(limit);
    this.#inMemory = inMemory ? new StoredDirectoryService(this.#kept.asStore()) : undefined;
  }

  get(digest: Digest, options?: Abortable): Promise<Directory | undefined> {
    return this.#holder(digest).get(digest, options);
  }

  getClosure(digest: Digest, options?: Abortable): Promise<AsyncIterable<Directory> | undefined> {
    return this.#holder(digest).getClosure(digest, options);
  }

  put(directories: Iterable<Directory> | AsyncIterable<Directory>, options?: Abortable): Promise<Digest> {
    return this.#store.put(directories, options);
  }

  sizeRules(options?: Abortable): Promise<readonly DirectorySizeRule[]> {
    return this.#store.sizeRules(options);
  }

  /** Whether `keep` accepts trees of this rule. */
  async keepsRule(rule: DirectorySizeRule): Promise<boolean> {
    return this.#inMemory !== undefined || (await this.#store.sizeRules()).includes(rule);
  }

  /**
   * Keeps a derived tree.
   *
   * @param closure the tree in the order of `DirectoryService.put`
   * @returns whether the tree can be read now; `false` if it is too large for memory
   * @throws StoreError if the store fails to keep it
   */
  async keep(closure: AsyncIterable<Directory>): Promise<boolean> {
    if (this.#inMemory) return this.#kept.add(closure);
    try {
      await this.#store.put(closure);
      return true;
    } catch (cause) {
      if (isStoreError(cause)) throw cause;
      throw new StoreError("internal", "the store failed to keep a tree that was encoded anew", { cause });
    }
  }

  #holder(digest: Digest): DirectoryService {
    return this.#inMemory && this.#kept.has(digest) ? this.#inMemory : this.#store;
  }
}

interface KeptDirectory {
  readonly bytes: Uint8Array;
  /** Number of kept trees that contain the directory. */
  trees: number;
}

/**
 * Trees in memory. A tree is evicted as a whole, so a directory in memory always has everything
 * beneath it.
 */
class KeptTrees {
  readonly #limit: number;
  readonly #directories = new Map<string, KeptDirectory>();
  /** Keys of each tree's directories, by the key of the root. `#limit` bounds their sum. */
  readonly #trees = new RecentlyUsed<string, readonly string[]>(Number.POSITIVE_INFINITY);
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(digest: Digest): boolean {
    return this.#directories.has(digestKey(digest));
  }

  /** Returns a read-only view. `add` adds trees. */
  asStore(): DirectoryStore {
    return {
      getMany: async (digests) => this.#getMany(digests),
      putMany: () => Promise.reject(new StoreError("internal", "trees are kept as a whole")),
    };
  }

  #getMany(digests: readonly Digest[]): (Uint8Array | undefined)[] {
    return digests.map((digest) => {
      const key = digestKey(digest);
      // A tree is used when its root is read.
      this.#trees.get(key);
      return this.#directories.get(key)?.bytes;
    });
  }

  /** @returns whether there was room */
  async add(closure: AsyncIterable<Directory>): Promise<boolean> {
    const tree = new Map<string, Uint8Array>();
    let size = 0;
    let root = "";
    for await (const directory of closure) {
      root = digestKey(directoryDigest(directory));
      const bytes = encodeDirectory(directory);
      if (!tree.has(root)) size += bytes.length + DIRECTORY_COST;
      if (size > this.#limit) return false;
      tree.set(root, bytes);
    }
    this.#drop(root);
    for (const [key, bytes] of tree) {
      const known = this.#directories.get(key);
      if (known) known.trees++;
      else {
        this.#directories.set(key, { bytes, trees: 1 });
        this.#size += bytes.length + DIRECTORY_COST;
      }
    }
    this.#trees.set(root, [...tree.keys()]);
    for (const [oldest] of this.#trees.entries()) {
      if (this.#size <= this.#limit) break;
      this.#drop(oldest);
    }
    return true;
  }

  #drop(root: string): void {
    for (const key of this.#trees.peek(root) ?? []) {
      const known = this.#directories.get(key);
      if (!known || --known.trees > 0) continue;
      this.#directories.delete(key);
      this.#size -= known.bytes.length + DIRECTORY_COST;
    }
    this.#trees.delete(root);
  }
}
