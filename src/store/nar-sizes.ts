import { type Digest, digestKey } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { MAX_TREE_DEPTH } from "../castore/ingest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { NAR_DIRECTORY_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "../nix/nar-size.ts";
import { Turn } from "../turn.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { checkNarSize, tooDeep } from "./nar-plan.ts";

interface Frame {
  readonly key: string;
  readonly entries: readonly DirectoryEntry[];
  next: number;
  size: number;
}

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
    const stack: Frame[] = [];
    const turn = new Turn();
    const enter = async (digest: Digest): Promise<void> => {
      if (stack.length > MAX_TREE_DEPTH) throw tooDeep(digest);
      const directory = reader.kept(digest) ?? (await reader.read(digest));
      stack.push({ key: digestKey(digest), entries: directory.entries, next: 0, size: NAR_DIRECTORY_SIZE });
    };
    try {
      await enter(node.digest);
      for (let top = stack.at(-1); top; top = stack.at(-1)) {
        const entry = top.entries[top.next];
        if (!entry) {
          await turn.pass();
          signal?.throwIfAborted();
          stack.pop();
          sizes.set(top.key, top.size);
          continue;
        }
        const known = entry.node.kind === "directory" ? sizes.get(digestKey(entry.node.digest)) : leafSize(entry.node);
        if (known === undefined) {
          await enter((entry.node as Node & { kind: "directory" }).digest);
          continue;
        }
        top.size = checkNarSize(top.size + narEntrySize(entry.name.length) + known);
        top.next++;
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
