import { allEnded } from "../all-ended.ts";
import { equalBytes } from "../bytes.ts";
import { digestKey, formatDigest } from "../castore/digest.ts";
import type { DirectorySizeRule } from "../castore/directory.ts";
import type { DirectoryNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { CopiedTree, requireSizeRules } from "./copied-tree.ts";
import { BlobCopier } from "./copy-blobs.ts";

/** Directories looked up at a time. */
const CONCURRENCY = 16;

/**
 * Minimum number of entries beneath a directory for which the target is asked whether it has the
 * directory. For fewer entries, a lookup of their blobs costs no more than a lookup of the
 * directory.
 */
const WORTH_ASKING = 16n;

export interface CopyContentOptions {
  signal?: AbortSignal | undefined;
  /** Size rule of the copied tree. By default, the target is asked for its rules. */
  sizeRule?: DirectorySizeRule | undefined;
  /**
   * Whether a directory at the target implies that everything beneath it is there too, blobs
   * included.
   */
  trustTarget: boolean;
  onBytes?: ((bytes: number) => void) | undefined;
  seen?: Set<string> | undefined;
  /** See `BlobCopierOptions.reuseChunks`. */
  reuseChunks?: boolean | undefined;
}

export interface CopiedContent {
  /**
   * Node of the content at the target. It differs from the source's node only if the target does
   * not take the source's size rule.
   */
  readonly node: Node;
  /** Directories and blobs that were missing at the target. */
  readonly objects: number;
  /** Bytes of these blobs that came from the source. */
  readonly bytes: number;
}

/**
 * Copies `node` and everything beneath it. It copies blobs first, then directories, children before
 * parents. So an interrupted copy leaves no directory that refers to missing content. Every writer
 * of castore keeps this order, and this makes `trustTarget` safe.
 *
 * It puts a closure of directories as one stream, even if the target has a part of it: the protocol
 * requires this.
 *
 * @throws StoreError `not-found` if the source lacks content; `corrupt` if content does not match
 *   its digest or its node
 */
export async function copyContent(
  from: CastoreServices,
  to: CastoreServices,
  node: Node,
  options: CopyContentOptions,
): Promise<CopiedContent> {
  if (node.kind === "symlink") return { node, objects: 0, bytes: 0 };
  if (node.kind === "directory" && options.trustTarget && (await keepsNode(to, node, options)))
    return { node, objects: 0, bytes: 0 };
  const copier = new BlobCopier(from.blobs, to.blobs, options);
  const tree = node.kind === "directory" ? new CopiedTree(from, node, options.signal) : undefined;
  try {
    let directories = 0;
    if (node.kind === "file") await copier.add(node);
    if (tree) await adaptSizeRule(tree, to, options);
    if (tree) directories = await copyBlobsBeneath(tree, to, copier, options);
    await copier.finish();
    if (tree && directories > 0) {
      const wanted = tree.target(tree.root).digest;
      const root = await to.directories.put(tree.leavesFirst(), { signal: options.signal });
      if (!equalBytes(root, wanted)) {
        throw new StoreError("corrupt", `the target stored directory ${formatDigest(wanted)} under ${formatDigest(root)}`);
      }
    }
    return { node: tree ? tree.target(tree.root) : node, objects: directories + copier.blobs, bytes: copier.bytes };
  } catch (error) {
    await copier.abort(error);
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    tree?.close();
  }
}

/**
 * Whether the target has the root directory and accepts this node for it. The node's size needs its
 * own check: a root without subdirectories has the same digest by every size rule.
 */
async function keepsNode(to: CastoreServices, node: DirectoryNode, options: CopyContentOptions): Promise<boolean> {
  const root = await to.directories.get(node.digest, { signal: options.signal });
  if (!root) return false;
  const used = requireSizeRules(root, node);
  return (await acceptedRules(to, options)).some((rule) => used.includes(rule));
}

async function acceptedRules(to: CastoreServices, options: CopyContentOptions): Promise<readonly DirectorySizeRule[]> {
  return options.sizeRule ? [options.sizeRule] : to.directories.sizeRules({ signal: options.signal });
}

/**
 * Keeps the tree's digests if the target takes its size rule, and otherwise encodes the tree anew.
 */
async function adaptSizeRule(tree: CopiedTree, to: CastoreServices, options: CopyContentOptions): Promise<void> {
  const used = await tree.rules();
  const accepted = await acceptedRules(to, options);
  const [preferred] = accepted;
  if (preferred && !accepted.some((rule) => used.includes(rule))) await tree.encodeBy(preferred);
}

/**
 * Walks down from the root, level by level, and skips directories that the target has.
 *
 * @returns number of directories that the target lacks
 */
async function copyBlobsBeneath(
  tree: CopiedTree,
  to: CastoreServices,
  copier: BlobCopier,
  { signal, trustTarget }: CopyContentOptions,
): Promise<number> {
  const seen = new Set([digestKey(tree.root.digest)]);
  let level: DirectoryNode[] = [tree.root];
  let missing = 0;
  while (level.length > 0) {
    const next: DirectoryNode[] = [];
    for (let i = 0; i < level.length; i += CONCURRENCY) {
      signal?.throwIfAborted();
      const some = level.slice(i, i + CONCURRENCY);
      const isPresent = async (node: DirectoryNode): Promise<boolean> =>
        trustTarget && isWorthAsking(tree, node) && has(to, tree.target(node), signal);
      const present = await allEnded(some.map(isPresent));
      for (const [j, node] of some.entries()) {
        if (present[j]) continue;
        missing++;
        for (const { node: child } of (await tree.read(node.digest)).entries) {
          if (child.kind === "file") await copier.add(child);
          else if (child.kind === "directory" && !seen.has(digestKey(child.digest))) {
            seen.add(digestKey(child.digest));
            next.push(child);
          }
        }
      }
    }
    level = next;
  }
  return missing;
}

/**
 * `copyContent` has already looked up the root. A root that was encoded anew is another directory,
 * so it needs its own lookup.
 */
function isWorthAsking(tree: CopiedTree, node: DirectoryNode): boolean {
  return node === tree.root ? tree.isEncodedAnew : node.size >= WORTH_ASKING;
}

async function has(to: CastoreServices, { digest }: DirectoryNode, signal: AbortSignal | undefined): Promise<boolean> {
  return (await to.directories.get(digest, { signal })) !== undefined;
}
