import { equalBytes } from "../../bytes.ts";
import { type Digest, digestKey, EMPTY_DIGEST } from "../../castore/digest.ts";
import { childDirectories, type Directory, type DirectorySizeRule, SIZE_RULES } from "../../castore/directory.ts";
import { LeavesToRootValidator, RootToLeavesValidator } from "../../castore/directory-closure.ts";
import { encodeDirectory } from "../../castore/directory-codec.ts";
import type { DirectoryService } from "../../castore/directory-service.ts";
import { StoredDirectoryService } from "../../castore/directory-store.ts";
import type { ObjectStore } from "../../castore/object-store.ts";
import { isStoreError, StoreError } from "../../error.ts";
import { RecentlyUsed } from "../../recently-used.ts";
import { Turn } from "../../turn.ts";
import { untilAborted } from "../../until-aborted.ts";
import { compressZstd } from "../zstd.ts";
import {
  joinDirectories,
  LENGTH_SIZE,
  MAX_CLOSURE_DIRECTORIES,
  MAX_CLOSURE_OBJECT_SIZE,
  MAX_CLOSURE_SIZE,
  ReadClosure,
} from "./closure-object.ts";
import { objectKey } from "./object-layout.ts";

/** Memory for the most recently used closures, in bytes. The largest closure fits. */
const KEPT = 96 * 1024 * 1024;
/** Maximum number of directories whose closure is remembered. They take some 20 MB. */
const KNOWN = 128 * 1024;

interface Abortable {
  signal?: AbortSignal | undefined;
}

/**
 * Stores directories in an object store, in the layout of snix. `dirs/b3/<first 2 bytes>/<digest of
 * the root>` holds a whole closure, compressed with zstd: all Directories, each after one that
 * refers to it, the root first. Digests are in hexadecimal. One object for a closure means few
 * requests to a bucket.
 *
 * The layout has no way to find a directory beneath a root. So this service remembers which closure
 * contains a directory. `get` and `getClosure` find a directory beneath a root after its parent was
 * read here, or after the whole closure was read or written here. This is enough for every walk
 * that begins at a root. It remembers 131,072 directories, and forgets the least recently used
 * ones.
 */
export class ClosureDirectoryService implements DirectoryService {
  readonly #objects: ObjectStore;
  readonly #kept = new RecentlyUsed<string, ReadClosure>(KEPT, ({ cost }) => cost);
  /** Closures that are being read, so that concurrent calls read each one once. */
  readonly #reading = new Map<string, Promise<ReadClosure | undefined>>();
  /** Root of a closure that contains the directory. */
  readonly #rootOf = new RecentlyUsed<string, Digest>(KNOWN);

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  async get(digest: Digest, options: Abortable = {}): Promise<Directory | undefined> {
    options.signal?.throwIfAborted();
    if (equalBytes(digest, EMPTY_DIGEST)) return { entries: [] };
    for await (const closure of this.#closuresOf(digest, options)) {
      const directory = await new StoredDirectoryService(closure.asStore()).get(digest, options);
      if (directory) return this.#seen(directory, closure);
    }
    return undefined;
  }

  async getClosure(digest: Digest, options: Abortable = {}): Promise<AsyncIterable<Directory> | undefined> {
    options.signal?.throwIfAborted();
    if (equalBytes(digest, EMPTY_DIGEST)) return emptyClosure();
    for await (const closure of this.#closuresOf(digest, options)) {
      const directories = await new StoredDirectoryService(closure.asStore()).getClosure(digest, options);
      if (directories) return this.#checked(digest, directories, closure);
    }
    return undefined;
  }

  /**
   * Stores a closure as one object. If the store has the closure already, this reads the stored
   * object, and replaces it if it is damaged.
   *
   * @throws StoreError as `DirectoryService.put`, and `invalid` if the closure has more than 64 MiB
   *   or 262,144 directories
   */
  async put(directories: Iterable<Directory> | AsyncIterable<Directory>, options: Abortable = {}): Promise<Digest> {
    options.signal?.throwIfAborted();
    const validator = new LeavesToRootValidator();
    const encoded: Uint8Array[] = [];
    const beneath: Digest[] = [];
    let size = 0;
    for await (const directory of directories) {
      options.signal?.throwIfAborted();
      const { digest, first } = validator.add(directory);
      if (!first) continue;
      const bytes = encodeDirectory(directory);
      size += LENGTH_SIZE + bytes.length;
      if (size > MAX_CLOSURE_SIZE || encoded.length >= MAX_CLOSURE_DIRECTORIES) throw tooLarge();
      encoded.push(bytes);
      beneath.push(digest);
    }
    const root = validator.finish();
    // Reversed, the leaves come last, and each directory after one that refers to it.
    const object = compressZstd(joinDirectories(encoded.reverse()));
    const key = objectKey("dirs", root);
    const isNew = await this.#objects.put(key, object, { ifAbsent: true, signal: options.signal });
    if (!isNew && !(await this.#isIntact(root, options))) {
      await this.#objects.put(key, object, options);
      this.#kept.delete(digestKey(root));
    }
    for (const digest of beneath) if (digest !== root) this.#rootOf.set(digestKey(digest), root);
    return root;
  }

  async #isIntact(root: Digest, options: Abortable): Promise<boolean> {
    try {
      const object = await this.#objects.get(objectKey("dirs", root), { ...options, limit: MAX_CLOSURE_OBJECT_SIZE });
      if (!object) return false;
      const closure = new ReadClosure(root, object);
      const directories = await new StoredDirectoryService(closure.asStore()).getClosure(root, options);
      if (!directories) return false;
      for await (const _ of this.#checked(root, directories, closure));
      return true;
    } catch (error) {
      if (isStoreError(error, "corrupt") || isStoreError(error, "not-found")) return false;
      throw error;
    }
  }

  /** The store keeps trees of either rule unchanged. */
  async sizeRules(): Promise<readonly DirectorySizeRule[]> {
    return SIZE_RULES;
  }

  /**
   * Yields the closures that may contain the directory: first the remembered one, then the one
   * whose root is the directory. If the second one is in memory, yields only that.
   */
  async *#closuresOf(digest: Digest, { signal }: Abortable): AsyncGenerator<ReadClosure> {
    const key = digestKey(digest);
    const root = this.#rootOf.get(key);
    if (root && !this.#kept.peek(key)) {
      const around = await untilAborted(this.#read(root), signal);
      if (around) yield around;
    }
    const own = await untilAborted(this.#read(digest), signal);
    if (own) yield own;
  }

  #read(root: Digest): Promise<ReadClosure | undefined> {
    const key = digestKey(root);
    const kept = this.#kept.get(key);
    if (kept) return Promise.resolve(kept);
    const running = this.#reading.get(key);
    if (running) return running;
    const reading = this.#fetch(root).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #fetch(root: Digest): Promise<ReadClosure | undefined> {
    const object = await this.#objects.get(objectKey("dirs", root), { limit: MAX_CLOSURE_OBJECT_SIZE });
    if (!object) return undefined;
    const closure = new ReadClosure(root, object);
    this.#kept.set(digestKey(root), closure);
    return closure;
  }

  /**
   * Checks the order of the directories, and that each parent states the right sizes of its
   * children.
   */
  async *#checked(digest: Digest, directories: AsyncIterable<Directory>, closure: ReadClosure): AsyncGenerator<Directory> {
    const validator = new RootToLeavesValidator(digest);
    const turn = new Turn();
    for await (const directory of directories) {
      await turn.pass();
      validator.add(directory);
      yield this.#seen(directory, closure);
    }
    validator.finish();
  }

  #seen(directory: Directory, { root }: ReadClosure): Directory {
    for (const { digest } of childDirectories(directory)) this.#rootOf.set(digestKey(digest), root);
    return directory;
  }
}

async function* emptyClosure(): AsyncGenerator<Directory> {
  yield { entries: [] };
}

function tooLarge(): StoreError {
  const limit = `${MAX_CLOSURE_DIRECTORIES} directories or ${MAX_CLOSURE_SIZE} bytes`;
  return new StoreError("invalid", `a closure of directories has more than ${limit}, which is too large for an object store`);
}
