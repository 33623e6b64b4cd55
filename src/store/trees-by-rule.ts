import { digestKey } from "../castore/digest.ts";
import { type DirectorySizeRule, sizeRulesOf } from "../castore/directory.ts";
import type { DirectoryNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { isStoreError } from "../error.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { untilAborted } from "../until-aborted.ts";
import { CopiedTree } from "./copied-tree.ts";

/** Roots that are remembered: some 3 MB. */
const MAX_KNOWN = 10_000;

/**
 * The trees of a store, shown by one size rule. Our stores keep trees of either rule, but stock
 * clients check sizes by one: nar-bridge reads a range of a NAR only if the tree has doubled sizes.
 * So a tree of the other rule is encoded anew when such a client asks for it, and kept beside the
 * first one.
 */
export class TreesByRule {
  readonly #castore: CastoreServices;
  readonly #rule: DirectorySizeRule;
  /** By the digest of the root as it is stored. */
  readonly #known = new RecentlyUsed<string, Promise<DirectoryNode>>(MAX_KNOWN);

  constructor(castore: CastoreServices, rule: DirectorySizeRule) {
    this.#castore = castore;
    this.#rule = rule;
  }

  /**
   * The node of the same content by this rule. Answers `node` itself where nothing can be done: for
   * content that is missing, and in front of a store that takes no trees of this rule.
   */
  async node(node: Node, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Node> {
    if (node.kind !== "directory") return node;
    const { directories } = this.#castore;
    const root = await directories.get(node.digest, { signal });
    const used = root ? sizeRulesOf(root, node.size) : [];
    if (used.length === 0 || used.includes(this.#rule)) return node;
    const key = digestKey(node.digest);
    const known = this.#known.get(key) ?? this.#encode(node);
    this.#known.set(key, known);
    try {
      const encoded = await untilAborted(known, signal);
      // It may have been collected as garbage since then.
      if (await directories.get(encoded.digest, { signal })) return encoded;
      return await untilAborted(this.#encode(node), signal);
    } catch (error) {
      signal?.throwIfAborted();
      this.#known.delete(key);
      if (isStoreError(error, "not-found")) return node;
      throw error;
    }
  }

  async #encode(node: DirectoryNode): Promise<DirectoryNode> {
    const { directories } = this.#castore;
    if (!(await directories.sizeRules()).includes(this.#rule)) return node;
    const tree = new CopiedTree(this.#castore, node, undefined);
    try {
      await tree.encodeBy(this.#rule);
      await directories.put(tree.leavesFirst());
      return tree.target(node);
    } finally {
      tree.close();
    }
  }
}
