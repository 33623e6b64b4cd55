import { digestKey } from "../castore/digest.ts";
import { type DirectorySizeRule, sizeRulesOf } from "../castore/directory.ts";
import type { DirectoryNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { isStoreError } from "../error.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { TaskPool } from "../task-pool.ts";
import { untilAborted } from "../until-aborted.ts";
import { CopiedTree } from "./copied-tree.ts";
import type { DerivedDirectories } from "./derived-directories.ts";

/** Roots remembered: some 3 MB. */
const MAX_KNOWN = 10_000;

/** Trees encoded at a time. Each one holds a digest for each of its directories. */
const CONCURRENCY = 4;

/**
 * Presents the trees of a store by one size rule. Our stores keep trees of either rule, but stock
 * clients check sizes by one rule: nar-bridge reads a range of a NAR only if the tree has doubled
 * sizes. If a stock client asks for a tree of the other rule, the tree is encoded anew and kept
 * beside the original.
 */
export class TreesByRule {
  readonly #castore: CastoreServices;
  readonly #directories: DerivedDirectories;
  readonly #rule: DirectorySizeRule;
  /** Encoded roots, by the digest of the stored root. */
  readonly #known = new RecentlyUsed<string, Promise<DirectoryNode>>(MAX_KNOWN);
  readonly #encoding = new TaskPool(CONCURRENCY);

  constructor(castore: CastoreServices, directories: DerivedDirectories, rule: DirectorySizeRule) {
    this.#castore = { blobs: castore.blobs, directories };
    this.#directories = directories;
    this.#rule = rule;
  }

  /**
   * Returns the node of the same content by this rule. It returns `node` itself if the content
   * can't be read or the new tree can't be kept. So a reader of path infos still gets an answer.
   *
   * @throws `signal.reason` if the call is aborted
   */
  async node(node: Node, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Node> {
    if (node.kind !== "directory") return node;
    try {
      return await this.#shown(node, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isStoreError(error)) throw error;
      return node;
    }
  }

  async #shown(node: DirectoryNode, signal: AbortSignal | undefined): Promise<DirectoryNode> {
    const root = await this.#directories.get(node.digest, { signal });
    const used = root ? sizeRulesOf(root, node.size) : [];
    if (used.length === 0 || used.includes(this.#rule)) return node;
    const key = digestKey(node.digest);
    const known = this.#known.get(key);
    if (known) {
      const encoded = await untilAborted(known, signal);
      // The tree may have been garbage-collected since then, or evicted from memory.
      if (await this.#directories.get(encoded.digest, { signal })) return encoded;
    }
    let encoding = this.#known.get(key);
    if (!encoding || encoding === known) {
      const begun = this.#encode(node);
      encoding = begun;
      this.#known.set(key, begun);
      begun.catch(() => {
        if (this.#known.get(key) === begun) this.#known.delete(key);
      });
    }
    return untilAborted(encoding, signal);
  }

  #encode(node: DirectoryNode): Promise<DirectoryNode> {
    return new Promise((resolve, reject) => {
      this.#encoding.run(() => this.#encodeNow(node).then(resolve, reject)).catch(reject);
    });
  }

  async #encodeNow(node: DirectoryNode): Promise<DirectoryNode> {
    if (!(await this.#directories.keepsRule(this.#rule))) return node;
    const tree = new CopiedTree(this.#castore, node, undefined);
    try {
      await tree.encodeBy(this.#rule);
      const kept = await this.#directories.keep(tree.leavesFirst());
      return kept ? tree.target(node) : node;
    } finally {
      tree.close();
    }
  }
}
