import type { Digest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { NarListing, NarListingEntry, NarListingNode } from "../nix/nar-listing.ts";
import {
  NAR_DIRECTORY_OPEN_SIZE,
  NAR_HEADER_SIZE,
  narEntryOpenSize,
  narEntrySize,
  narFileOpenSize,
  narFileSize,
  narSymlinkSize,
} from "../nix/nar-size.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { checkNarSize } from "./nar-plan.ts";
import { TreeWalk } from "./tree-walk.ts";

export interface ListNodeOptions {
  /**
   * Entries that the tree may have; a million by default. A few directories can describe a tree
   * that is too large for any memory.
   */
  maxEntries?: number | undefined;
  signal?: AbortSignal | undefined;
}

const DEFAULT_MAX_ENTRIES = 1_000_000;

/**
 * Lists the NAR of `node` with the offset of each file. It reads only directories. The result
 * equals that of `listNar`, which reads the NAR.
 *
 * @throws StoreError `not-found` if a directory is missing; `invalid` if the tree is too large or
 *   too deep
 */
export async function listNode(
  castore: Pick<CastoreServices, "directories">,
  node: Node,
  { maxEntries = DEFAULT_MAX_ENTRIES, signal }: ListNodeOptions = {},
): Promise<NarListing> {
  if (node.kind !== "directory") return { root: leaf(node, NAR_HEADER_SIZE).listed };
  const reader = new DirectoryReader(castore.directories, node.digest, signal);
  const walk = new TreeWalk<NarListingEntry[]>(reader);
  let offset = NAR_HEADER_SIZE;
  let count = 0;
  const enter = async (digest: Digest): Promise<NarListingNode> => {
    const { entries, state: listed } = await walk.enter(digest, []);
    count += entries.length;
    if (count > maxEntries) throw new StoreError("invalid", `the tree has more than ${maxEntries} entries`);
    offset += NAR_DIRECTORY_OPEN_SIZE;
    return { type: "directory", entries: listed };
  };
  try {
    const root = await enter(node.digest);
    for (let current = walk.current; current; current = walk.current) {
      const entry = walk.next();
      if (!entry) {
        walk.leave();
        offset += CLOSE_SIZE;
        if (walk.current) offset += CLOSE_SIZE;
        continue;
      }
      const { name, node } = entry;
      const open = narEntryOpenSize(name.length);
      offset += open;
      if (node.kind === "directory") {
        current.state.push({ name, node: await enter(node.digest) });
        continue;
      }
      const { listed, size } = leaf(node, offset);
      current.state.push({ name, node: listed });
      offset = checkNarSize(offset + size + narEntrySize(name.length) - open);
    }
    return { root };
  } finally {
    await reader.close();
  }
}

/** Bytes of a closing parenthesis. */
const CLOSE_SIZE = 16;

function leaf(node: Exclude<Node, { kind: "directory" }>, offset: number): { listed: NarListingNode; size: number } {
  if (node.kind === "symlink")
    return { listed: { type: "symlink", target: node.target }, size: narSymlinkSize(node.target.length) };
  const size = checkNarSize(Number(node.size));
  const { executable } = node;
  const narOffset = offset + narFileOpenSize(executable);
  return { listed: { type: "regular", size, executable, narOffset }, size: narFileSize(size, executable) };
}
