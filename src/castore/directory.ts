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
 * How `DirectoryNode.size` counts.
 *
 * - `documented`: the number of entries, plus the sizes of the child directories.
 * - `doubled`: the same with one more for each child directory, so that directories count twice: once as an entry, once as a child.
 *   tvix since 2024-08 and snix do so.
 *
 * The size is a part of the parent's message: the two rules give different digests for any tree that is more than one level deep,
 * and each side rejects the other's.
 */
export type DirectorySizeRule = "documented" | "doubled";

/** The size that a node which refers to `directory` must have. @throws StoreError `invalid` past 64 bits */
export function directorySize(directory: Directory, rule: DirectorySizeRule): bigint {
  let size = BigInt(directory.entries.length);
  for (const { node } of directory.entries) {
    if (node.kind === "directory") size += node.size + (rule === "doubled" ? 1n : 0n);
  }
  if (size > MAX_UINT64) throw new StoreError("invalid", "the sizes of a directory's children add up to more than 64 bits");
  return size;
}

/**
 * By which rule `directory` has `size`. `undefined` if by both, which is so as long as it has no directory in it; or by neither, as
 * `hasDirectorySize` tells.
 */
export function sizeRuleShownBy(directory: Directory, size: bigint): DirectorySizeRule | undefined {
  const documented = directorySize(directory, "documented") === size;
  const doubled = directorySize(directory, "doubled") === size;
  if (documented === doubled) return undefined;
  return documented ? "documented" : "doubled";
}

/** Whether `directory` has `size` by either rule. */
export function hasDirectorySize(directory: Directory, size: bigint): boolean {
  return directorySize(directory, "documented") === size || directorySize(directory, "doubled") === size;
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
  // The sum must fit; which rule the parent follows is not known here.
  directorySize(directory, "documented");
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
