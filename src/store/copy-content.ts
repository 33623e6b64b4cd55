import { allEnded } from "../all-ended.ts";
import { equalBytes } from "../bytes.ts";
import { digestKey, formatDigest } from "../castore/digest.ts";
import type { DirectorySizeRule } from "../castore/directory.ts";
import type { DirectoryNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { CopiedTree, requireSizeRules } from "./copied-tree.ts";
import { BlobCopier } from "./copy-blobs.ts";

/** Directories that are asked for at a time. */
const CONCURRENCY = 16;

/**
 * The target is asked for a directory if there are this many entries beneath it: for less, asking for its few blobs costs no more
 * than asking for the directory.
 */
const WORTH_ASKING = 16n;

export interface CopyContentOptions {
  signal?: AbortSignal | undefined;
  /** The size rule that the copied tree must use. By default the target is asked for its rules. */
  sizeRule?: DirectorySizeRule | undefined;
  /** Whether a directory that the target has is taken to mean that it has all that is beneath it, blobs too. */
  trustTarget: boolean;
  onBytes?: ((bytes: number) => void) | undefined;
  seen?: Set<string> | undefined;
  /** As for a `BlobCopier`. */
  reuseChunks?: boolean | undefined;
}

export interface CopiedContent {
  /** The content's node at the target. It differs only if the target takes no tree of the source's size rule. */
  readonly node: Node;
  /** Directories and blobs that were missing there. */
  readonly objects: number;
  /** Of those blobs, as far as they came from the source. */
  readonly bytes: number;
}

/**
 * Copies `node` and all that is beneath it: blobs first, then the directories, leaves first, so that who stops half way leaves no
 * directory without what it refers to. This order, which every writer of castore keeps, is what makes `trustTarget` sound.
 *
 * A closure of directories is put as one stream, whatever part of it the target has: the protocol wants it so.
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
        throw new StoreError("corrupt", `directory ${formatDigest(wanted)} arrived as ${formatDigest(root)}`);
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
 * Whether the target has the root directory, and can refer to it by this node. The node's size needs a check of its own: a root
 * that holds no directories has the same digest by every size rule.
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

/** Keeps the tree's digests if the target takes its size rule, and encodes it anew otherwise. */
async function adaptSizeRule(tree: CopiedTree, to: CastoreServices, options: CopyContentOptions): Promise<void> {
  const used = await tree.rules();
  const accepted = await acceptedRules(to, options);
  const [preferred] = accepted;
  if (preferred && !accepted.some((rule) => used.includes(rule))) await tree.encodeBy(preferred);
}

/** Goes down from the root, level by level, but not into what the target has. @returns how many directories it hasn't */
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

/** `copyContent` has asked for the root already. A root that is encoded anew is another directory. */
function isWorthAsking(tree: CopiedTree, node: DirectoryNode): boolean {
  return node === tree.root ? tree.isEncodedAnew : node.size >= WORTH_ASKING;
}

async function has(to: CastoreServices, { digest }: DirectoryNode, signal: AbortSignal | undefined): Promise<boolean> {
  return (await to.directories.get(digest, { signal })) !== undefined;
}
