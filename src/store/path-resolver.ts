import { CachedDirectories } from "../castore/cached-directories.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { requirePathInfo } from "./closure.ts";
import { listDirectory, resolvePath } from "./list.ts";
import type { PathInfo } from "./path-info.ts";
import type { StoreServices } from "./services.ts";

/** Store paths; a page looks at few of them at a time. */
const KEPT = 64;

/**
 * Finds what is at paths inside of store paths, one after the other, as a page asks for them. Keeps the PathInfos and directories that it
 * read last: to read them takes longer than all the rest. `clear` when they may have changed, or be gone.
 */
export class PathResolver {
  readonly #castore: CastoreServices;
  readonly #directories: CachedDirectories;
  readonly #pathInfos: StoreServices["pathInfos"];
  /** By hash part. Of a path that is not there, nothing is kept. */
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

  /** `undefined` if nothing is at `path`. @throws StoreError as `resolvePath` does; `not-found` too if the store has not the store path */
  async resolve(storePath: string, path: string | Uint8Array): Promise<Node | undefined> {
    return resolvePath(this.#castore, await this.#root(storePath), path);
  }

  /** `undefined` if nothing is at `path`. @throws StoreError as `listDirectory` does; `not-found` too if the store has not the store path */
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
    // Before its answer: what was asked for before a `clear` isn't kept after it.
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
