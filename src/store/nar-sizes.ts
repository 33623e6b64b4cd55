import { type Digest, digestKey } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { NAR_DIRECTORY_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "../nix/nar-size.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { checkNarSize } from "./nar-plan.ts";
import { TreeWalk } from "./tree-walk.ts";

/**
 * The number of bytes that each node of a tree takes in a NAR, calculated from the directories
 * alone.
 */
export class NarSizes {
  /**
   * Sizes by digest key. Each directory is counted once and added for each occurrence: a tree can
   * be far larger than the directories that describe it.
   */
  readonly #directories: ReadonlyMap<string, number>;

  private constructor(directories: ReadonlyMap<string, number>) {
    this.#directories = directories;
  }

  /**
   * @throws StoreError `not-found` if a directory is missing; `invalid` if a size is 2^53 bytes or
   *   more, or if the tree is too deep
   */
  static async read(
    castore: Pick<CastoreServices, "directories">,
    node: Node,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<NarSizes> {
    const sizes = new Map<string, number>();
    if (node.kind !== "directory") return new NarSizes(sizes);
    const reader = new DirectoryReader(castore.directories, node.digest, signal);
    const walk = new TreeWalk<{ size: number }>(reader);
    const enter = (digest: Digest) => walk.enter(digest, { size: NAR_DIRECTORY_SIZE });
    const add = (size: number): void => {
      if (walk.current) walk.current.state.size = checkNarSize(walk.current.state.size + size);
    };
    try {
      await enter(node.digest);
      for (let current = walk.current; current; current = walk.current) {
        const entry = walk.next();
        if (!entry) {
          signal?.throwIfAborted();
          walk.leave();
          sizes.set(digestKey(current.digest), current.state.size);
          add(current.state.size);
          continue;
        }
        const { name, node } = entry;
        const size = node.kind === "directory" ? sizes.get(digestKey(node.digest)) : leafSize(node);
        add(narEntrySize(name.length) + (size ?? 0));
        if (node.kind === "directory" && size === undefined) await enter(node.digest);
      }
      return new NarSizes(sizes);
    } finally {
      await reader.close();
    }
  }

  /**
   * Returns the size of `node` in bytes, without the NAR header.
   *
   * @param node the tree's root, or a node beneath it
   */
  of(node: Node): number {
    return node.kind === "directory" ? (this.#directories.get(digestKey(node.digest)) as number) : leafSize(node);
  }
}

function leafSize(node: Exclude<Node, { kind: "directory" }>): number {
  return node.kind === "symlink"
    ? narSymlinkSize(node.target.length)
    : narFileSize(checkNarSize(Number(node.size)), node.executable);
}
