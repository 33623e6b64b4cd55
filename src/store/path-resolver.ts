import { CachedDirectories } from "../castore/cached-directories.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { requirePathInfo } from "./closure.ts";
import { listDirectory, resolvePath } from "./list.ts";
import type { PathInfo } from "./path-info.ts";
import type { StoreServices } from "./services.ts";

/** Path infos kept. A page looks at few store paths at a time. */
const KEPT = 64;

/**
 * Resolves paths inside store paths, one after the other, as a page asks for them. It keeps the
 * PathInfos and directories that it read last, because reading them dominates the time. Call
 * `clear` when they may have changed or been deleted.
 */
export class PathResolver {
  readonly #castore: CastoreServices;
  readonly #directories: CachedDirectories;
  readonly #pathInfos: StoreServices["pathInfos"];
  /** Path infos by hash part. Nothing is kept for a missing path. */
  readonly #kept = new RecentlyUsed<string, Promise<PathInfo | undefined>>(KEPT);

  constructor({ blobs, directories, pathInfos }: StoreServices) {
    this.#directories = new CachedDirectories(directories);
    this.#castore = { blobs, directories: this.#directories };
    this.#pathInfos = pathInfos;
  }

  clear(): void {
    this.#kept.clear();
    this.#directories.clear();
  }

  /**
   * Returns the node at `path`; `undefined` if there is none.
   *
   * @throws StoreError `not-found` if the store lacks the store path; otherwise like `resolvePath`
   */
  async resolve(storePath: string, path: string | Uint8Array): Promise<Node | undefined> {
    return resolvePath(this.#castore, await this.#root(storePath), path);
  }

  /**
   * Returns the entries of the directory at `path`; `undefined` if nothing is at `path`.
   *
   * @throws StoreError `not-found` if the store lacks the store path; otherwise like
   *   `listDirectory`
   */
  async list(storePath: string, path: string | Uint8Array): Promise<readonly DirectoryEntry[] | undefined> {
    return listDirectory(this.#castore, await this.#root(storePath), path);
  }

  async #root(storePath: string): Promise<Node> {
    const info = await requirePathInfo({ get: (hashPart) => this.#get(hashPart) }, storePath);
    return info.node;
  }

  async #get(hashPart: string): Promise<PathInfo | undefined> {
    const kept = this.#kept.get(hashPart);
    if (kept) return kept;
    const asked = this.#pathInfos.get(hashPart);
    // The promise is kept before it settles: `clear` then also drops requests in flight.
    this.#kept.set(hashPart, asked);
    let info: PathInfo | undefined;
    try {
      info = await asked;
    } finally {
      if (!info && this.#kept.get(hashPart) === asked) this.#kept.delete(hashPart);
    }
    return info;
  }
}
