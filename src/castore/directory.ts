import { compareBytes, quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { checkName, checkNode, type DirectoryNode, MAX_UINT64, type Node } from "./node.ts";

/** A directory: its entries, strictly ascending by name, bytewise, whatever their kind. */
export interface Directory {
  readonly entries: readonly DirectoryEntry[];
}

export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly node: Node;
}

/**
 * How `DirectoryNode.size` counts:
 *
 * - `documented`: the number of entries, plus the sizes of the child directories.
 * - `doubled`: twice the number of entries, plus the sizes of the child directories. snix counts
 *   this way, and tvix has done so since 2024-08.
 *
 * The size is part of the parent's message, so the two rules give different digests to every
 * directory that holds another non-empty one. Stock peers know one rule and refuse trees that use
 * the other one. Nothing else about a peer tells which rule it uses.
 */
export type DirectorySizeRule = "documented" | "doubled";

/** All rules, the one first that our own stores use for new trees. */
export const SIZE_RULES: readonly DirectorySizeRule[] = ["documented", "doubled"];

/** How often an entry counts. */
const ENTRY_WEIGHT: Readonly<Record<DirectorySizeRule, bigint>> = { documented: 1n, doubled: 2n };

/** The size that a node which refers to `directory` must have. A node has room for 64 bits of it. */
export function directorySize(directory: Directory, rule: DirectorySizeRule): bigint {
  let size = BigInt(directory.entries.length) * ENTRY_WEIGHT[rule];
  for (const { node } of directory.entries) if (node.kind === "directory") size += node.size;
  return size;
}

/**
 * The rules by which `directory` has `size`: both for an empty directory, one for any other
 * directory of a proper tree, none if the size is wrong.
 */
export function sizeRulesOf(directory: Directory, size: bigint): DirectorySizeRule[] {
  return SIZE_RULES.filter((rule) => directorySize(directory, rule) === size);
}

/** A directory of `entries`, sorted. The array is not changed. @throws StoreError `invalid` */
export function makeDirectory(entries: Iterable<DirectoryEntry>): Directory {
  const directory = { entries: [...entries].sort((a, b) => compareBytes(a.name, b.name)) };
  checkDirectory(directory);
  return directory;
}

/** Checks every rule that concerns one directory by itself. @throws StoreError `invalid` */
export function checkDirectory(directory: Directory): void {
  let previous: Uint8Array | undefined;
  for (const { name, node } of directory.entries) {
    checkName(name);
    checkNode(node);
    if (previous) {
      const order = compareBytes(previous, name);
      if (order === 0) throw new StoreError("invalid", `directory has two entries named ${quoteBytes(name)}`);
      if (order > 0) throw new StoreError("invalid", `directory entry ${quoteBytes(name)} is out of order`);
    }
    previous = name;
  }
  // Which rule the parent follows is not known here. This one gives the smaller size.
  if (directorySize(directory, "documented") > MAX_UINT64)
    throw new StoreError("invalid", "the sizes of a directory's children add up to more than 64 bits");
}

/** The entry of this name, by binary search. */
export function findEntry(directory: Directory, name: Uint8Array): DirectoryEntry | undefined {
  let low = 0;
  let high = directory.entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = directory.entries[middle] as DirectoryEntry;
    const order = compareBytes(entry.name, name);
    if (order === 0) return entry;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

/** The digests of the child directories, in the order of their names; repeated where two children are the same. */
export function childDirectories(directory: Directory): DirectoryNode[] {
  return directory.entries.map((entry) => entry.node).filter((node) => node.kind === "directory");
}
