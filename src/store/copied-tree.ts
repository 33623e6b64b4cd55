import { type Digest, digestKey, formatDigest } from "../castore/digest.ts";
import { type Directory, type DirectorySizeRule, sizeRulesOf } from "../castore/directory.ts";
import { directoryNode } from "../castore/directory-codec.ts";
import type { DirectoryNode } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { TreeWalk } from "./tree-walk.ts";

/**
 * The directories beneath one root, in the form in which another store takes them. If the other
 * store uses another size rule, they are encoded anew. Memory: one digest for each directory, and
 * as many directories as a `DirectoryReader` keeps.
 */
export class CopiedTree {
  readonly root: DirectoryNode;
  readonly #reader: DirectoryReader;
  #rule: DirectorySizeRule | undefined;
  readonly #signal: AbortSignal | undefined;
  /** Target nodes of the directories that were encoded anew, by the digest at the source. */
  readonly #nodes = new Map<string, DirectoryNode>();

  constructor(from: CastoreServices, root: DirectoryNode, signal: AbortSignal | undefined) {
    this.root = root;
    this.#reader = new DirectoryReader(from.directories, root.digest, signal);
    this.#signal = signal;
  }

  /**
   * Returns the size rules that the tree follows. An empty root follows both.
   *
   * @throws StoreError `corrupt` if the size in the root's node is wrong by every rule
   */
  async rules(): Promise<DirectorySizeRule[]> {
    return requireSizeRules(await this.read(this.root.digest), this.root);
  }

  /** Encodes every directory anew, with sizes by `rule`. Call it before the other methods. */
  async encodeBy(rule: DirectorySizeRule): Promise<void> {
    this.#rule = rule;
    for await (const _ of this.leavesFirst());
  }

  get isEncodedAnew(): boolean {
    return this.#rule !== undefined;
  }

  /** Returns the node that replaces `node` at the target. */
  target(node: DirectoryNode): DirectoryNode {
    if (!this.#rule) return node;
    const target = this.#nodes.get(digestKey(node.digest));
    if (!target) throw new StoreError("internal", `directory ${formatDigest(node.digest)} is not encoded anew yet`);
    return target;
  }

  /**
   * Reads a directory as the source has it.
   *
   * @throws StoreError `not-found` if the directory is missing
   */
  async read(digest: Digest): Promise<Directory> {
    return this.#reader.kept(digest) ?? (await this.#reader.read(digest));
  }

  /**
   * Yields every directory once, in the target's encoding, children before parents: the order that
   * `DirectoryService.put` takes.
   */
  async *leavesFirst(): AsyncGenerator<Directory> {
    const done = new Set<string>();
    const walk = new TreeWalk(this.#reader);
    await walk.enter(this.root.digest, undefined);
    for (let current = walk.current; current; current = walk.current) {
      const entry = walk.next();
      if (entry) {
        if (entry.node.kind !== "directory" || done.has(digestKey(entry.node.digest))) continue;
        this.#signal?.throwIfAborted();
        await walk.enter(entry.node.digest, undefined);
        continue;
      }
      walk.leave();
      const key = digestKey(current.digest);
      done.add(key);
      const directory = this.#encode(current);
      if (this.#rule && !this.#nodes.has(key)) this.#nodes.set(key, directoryNode(directory, this.#rule));
      yield directory;
    }
  }

  close(): void {
    this.#reader.close().catch(() => {});
  }

  #encode({ entries }: Directory): Directory {
    if (!this.#rule) return { entries };
    return {
      entries: entries.map((entry) =>
        entry.node.kind === "directory" ? { name: entry.name, node: this.target(entry.node) } : entry,
      ),
    };
  }
}

/**
 * Returns the size rules by which `node` refers to `directory`. An empty directory follows both.
 *
 * @throws StoreError `corrupt` if the node's size is wrong by every rule
 */
export function requireSizeRules(directory: Directory, { digest, size }: DirectoryNode): DirectorySizeRule[] {
  const rules = sizeRulesOf(directory, size);
  if (rules.length > 0) return rules;
  throw new StoreError("corrupt", `the node of directory ${formatDigest(digest)} has the wrong size ${size}`);
}
