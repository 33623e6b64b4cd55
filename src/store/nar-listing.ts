import type { Digest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { LISTING_END, LISTING_START, listedLeafToJson, listedTextToJson } from "../nix/nar-listing.ts";
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

export interface RenderListingOptions {
  /**
   * Maximum number of entries in the tree; 1,000,000 by default. A few directories that refer to
   * each other many times can describe a tree that is too large to list.
   */
  maxEntries?: number | undefined;
  signal?: AbortSignal | undefined;
}

const DEFAULT_MAX_ENTRIES = 1_000_000;

/** Minimum length of a piece, in characters, except for the last one. */
const PIECE = 64 * 1024;

/**
 * Writes the listing of the NAR of `node`, in pieces of text. It reads only directories. The text
 * equals `narListingToJson` of the listing that `listNar` reads from the NAR.
 *
 * @throws StoreError `not-found` if a directory is missing; `invalid` if the tree is too large or
 *   too deep, or if a name or a target is not UTF-8
 */
export async function* renderNarListing(
  castore: Pick<CastoreServices, "directories">,
  node: Node,
  { maxEntries = DEFAULT_MAX_ENTRIES, signal }: RenderListingOptions = {},
): AsyncGenerator<string> {
  if (node.kind !== "directory") {
    yield `${LISTING_START}${leaf(node, NAR_HEADER_SIZE).json}${LISTING_END}`;
    return;
  }
  const reader = new DirectoryReader(castore.directories, node.digest, signal);
  // `separator` is the text to write before the directory's next entry.
  const walk = new TreeWalk<{ separator: "" | "," }>(reader);
  let offset = NAR_HEADER_SIZE;
  let count = 0;
  let text = LISTING_START;
  const enter = async (digest: Digest): Promise<void> => {
    const { entries } = await walk.enter(digest, { separator: "" });
    count += entries.length;
    if (count > maxEntries) throw new StoreError("invalid", `the tree has more than ${maxEntries} entries`);
    offset += NAR_DIRECTORY_OPEN_SIZE;
    text += '{"type":"directory","entries":{';
  };
  try {
    await enter(node.digest);
    for (let current = walk.current; current; current = walk.current) {
      if (text.length >= PIECE) {
        yield text;
        text = "";
      }
      const entry = walk.next();
      if (!entry) {
        walk.leave();
        text += "}}";
        offset += CLOSE_SIZE;
        if (walk.current) offset += CLOSE_SIZE;
        continue;
      }
      const { name, node } = entry;
      const open = narEntryOpenSize(name.length);
      offset += open;
      text += `${current.state.separator}${listedTextToJson(name)}:`;
      current.state.separator = ",";
      if (node.kind === "directory") {
        await enter(node.digest);
        continue;
      }
      const { json, size } = leaf(node, offset);
      text += json;
      offset = checkNarSize(offset + size + narEntrySize(name.length) - open);
    }
    yield `${text}${LISTING_END}`;
  } finally {
    await reader.close();
  }
}

/** Bytes of a closing parenthesis. */
const CLOSE_SIZE = 16;

function leaf(node: Exclude<Node, { kind: "directory" }>, offset: number): { json: string; size: number } {
  if (node.kind === "symlink")
    return { json: listedLeafToJson({ type: "symlink", target: node.target }), size: narSymlinkSize(node.target.length) };
  const size = checkNarSize(Number(node.size));
  const { executable } = node;
  const narOffset = offset + narFileOpenSize(executable);
  return { json: listedLeafToJson({ type: "regular", size, executable, narOffset }), size: narFileSize(size, executable) };
}
