import { type Digest, digestKey, formatDigest } from "../castore/digest.ts";
import { type Directory, type DirectorySizeRule, sizeRulesOf } from "../castore/directory.ts";
import { directoryNode } from "../castore/directory-codec.ts";
import { MAX_TREE_DEPTH } from "../castore/ingest.ts";
import type { DirectoryNode } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { DirectoryReader } from "./directory-reader.ts";

interface Frame {
  readonly digest: Digest;
  readonly directory: Directory;
  next: number;
}

/**
 * The directories beneath one root as another store is to have them: as they are, or encoded anew where the other store counts
 * directory sizes by another rule. Holds a digest a directory, and of the directories themselves only as many as a
 * `DirectoryReader` does.
 */
export class CopiedTree {
  readonly root: DirectoryNode;
  readonly #reader: DirectoryReader;
  #rule: DirectorySizeRule | undefined;
  readonly #signal: AbortSignal | undefined;
  /** Of directories that were encoded anew, by their digest at the source. */
  readonly #nodes = new Map<string, DirectoryNode>();

  constructor(from: CastoreServices, root: DirectoryNode, signal: AbortSignal | undefined) {
    this.root = root;
    this.#reader = new DirectoryReader(from.directories, root.digest, signal);
    this.#signal = signal;
  }

  /**
   * The size rules that the tree shows: both for an empty root.
   *
   * @throws StoreError `corrupt` if the root's node has a size that is wrong by every rule
   */
  async rules(): Promise<DirectorySizeRule[]> {
    return requireSizeRules(await this.read(this.root.digest), this.root);
  }

  /** Encodes every directory anew, with sizes by `rule`. To be called before the other methods. */
  async encodeBy(rule: DirectorySizeRule): Promise<void> {
    this.#rule = rule;
    for await (const _ of this.leavesFirst());
  }

  get isEncodedAnew(): boolean {
    return this.#rule !== undefined;
  }

  /** The node that stands for `node` at the target. */
  target(node: DirectoryNode): DirectoryNode {
    if (!this.#rule) return node;
    const target = this.#nodes.get(digestKey(node.digest));
    if (!target) throw new StoreError("internal", `directory ${formatDigest(node.digest)} is not encoded anew yet`);
    return target;
  }

  /** A directory as the source has it. @throws StoreError `not-found` */
  async read(digest: Digest): Promise<Directory> {
    return this.#reader.kept(digest) ?? (await this.#reader.read(digest));
  }

  /** Every directory as the target is to have it, once, each after those that it refers to: as `DirectoryService.put` takes them. */
  async *leavesFirst(): AsyncGenerator<Directory> {
    const done = new Set<string>();
    const stack: Frame[] = [await this.#open(this.root.digest)];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const entry = top.directory.entries[top.next++];
      if (entry) {
        if (entry.node.kind !== "directory" || done.has(digestKey(entry.node.digest))) continue;
        if (stack.length > MAX_TREE_DEPTH) {
          throw new StoreError("invalid", `directory ${formatDigest(entry.node.digest)} is inside ${MAX_TREE_DEPTH} others`);
        }
        stack.push(await this.#open(entry.node.digest));
        continue;
      }
      stack.pop();
      const key = digestKey(top.digest);
      done.add(key);
      const directory = this.#encode(top.directory);
      if (this.#rule && !this.#nodes.has(key)) this.#nodes.set(key, directoryNode(directory, this.#rule));
      yield directory;
    }
  }

  close(): void {
    this.#reader.close().catch(() => {});
  }

  async #open(digest: Digest): Promise<Frame> {
    this.#signal?.throwIfAborted();
    return { digest, directory: await this.read(digest), next: 0 };
  }

  #encode(directory: Directory): Directory {
    if (!this.#rule) return directory;
    return {
      entries: directory.entries.map((entry) =>
        entry.node.kind === "directory" ? { name: entry.name, node: this.target(entry.node) } : entry,
      ),
    };
  }
}

/**
 * The size rules by which `node` refers to `directory`: both for an empty directory.
 *
 * @throws StoreError `corrupt` if the node's size is wrong by every rule
 */
export function requireSizeRules(directory: Directory, { digest, size }: DirectoryNode): DirectorySizeRule[] {
  const rules = sizeRulesOf(directory, size);
  if (rules.length > 0) return rules;
  throw new StoreError("corrupt", `directory ${formatDigest(digest)} is referred to by the size ${size}, which is wrong`);
}
