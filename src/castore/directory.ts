import { compareBytes, quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { checkName, checkNode, type DirectoryNode, MAX_UINT64, type Node } from "./node.ts";

/**
 * A directory. Its entries of all kinds are in one list, strictly ascending by the bytes of their
 * names.
 */
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
 * The size is part of the parent's message. The two rules therefore give different digests to every
 * directory that holds another non-empty directory. Stock peers know one rule and refuse trees that
 * use the other one. Nothing else about a peer tells which rule it uses.
 */
export type DirectorySizeRule = "documented" | "doubled";

/** All size rules. The first one is the rule that our own stores use for new trees. */
export const SIZE_RULES: readonly DirectorySizeRule[] = ["documented", "doubled"];

/** Number that each entry adds to the size. */
const ENTRY_WEIGHT: Readonly<Record<DirectorySizeRule, bigint>> = { documented: 1n, doubled: 2n };

/** The size that a node must have if it refers to `directory`. The node's field holds 64 bits. */
export function directorySize(directory: Directory, rule: DirectorySizeRule): bigint {
  let size = BigInt(directory.entries.length) * ENTRY_WEIGHT[rule];
  for (const { node } of directory.entries) if (node.kind === "directory") size += node.size;
  return size;
}

/**
 * The rules under which `directory` has the size `size`: both for an empty directory, one for any
 * other valid directory, none if the size is wrong.
 */
export function sizeRulesOf(directory: Directory, size: bigint): DirectorySizeRule[] {
  return SIZE_RULES.filter((rule) => directorySize(directory, rule) === size);
}

/**
 * Makes a directory of `entries`, which may come in any order. Copies the list.
 *
 * @throws StoreError `invalid` if an entry or the directory breaks a rule
 */
export function makeDirectory(entries: Iterable<DirectoryEntry>): Directory {
  const directory = { entries: [...entries].sort((a, b) => compareBytes(a.name, b.name)) };
  checkDirectory(directory);
  return directory;
}

/**
 * Checks every rule that applies to a single directory.
 *
 * @throws StoreError `invalid` if the directory breaks a rule
 */
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
  // The parent's rule is not known here. The `documented` rule gives the smaller size.
  if (directorySize(directory, "documented") > MAX_UINT64)
    throw new StoreError("invalid", "the sizes of a directory's children add up to more than 64 bits");
}

/** Finds the entry named `name` by binary search. */
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

/**
 * The nodes of the child directories, in the order of their names. Equal children are all listed.
 */
export function childDirectories(directory: Directory): DirectoryNode[] {
  return directory.entries.map((entry) => entry.node).filter((node) => node.kind === "directory");
}
