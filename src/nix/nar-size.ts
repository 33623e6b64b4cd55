import { NAR_MAGIC, narTokenSize, narTokens } from "./nar-grammar.ts";

/**
 * Sizes of the parts of an archive, in bytes. An archive's size is the sum of the sizes of its
 * header and nodes, and can be calculated without reading any content.
 *
 *     NAR_HEADER_SIZE + node, where node is one of
 *       narFileSize(size, executable)
 *       narSymlinkSize(targetLength)
 *       NAR_DIRECTORY_SIZE + for each entry: narEntrySize(nameLength) + node
 */
export const NAR_HEADER_SIZE: number = narTokens(NAR_MAGIC).length;

/** Size of a directory without its entries. */
export const NAR_DIRECTORY_SIZE: number = narTokens("(", "type", "directory", ")").length;

/** Size of the part before a directory's first entry. */
export const NAR_DIRECTORY_OPEN_SIZE: number = narTokens("(", "type", "directory").length;

const ENTRY_OPEN_SIZE = narTokens("entry", "(", "name", "node").length;
const FILE_OPEN_SIZE = narTokens("(", "type", "regular", "contents").length;
const FILE_SIZE = narTokens("(", "type", "regular", "contents", ")").length;
const EXECUTABLE_SIZE = narTokens("executable", "").length;
const SYMLINK_SIZE = narTokens("(", "type", "symlink", "target", ")").length;
const ENTRY_SIZE = narTokens("entry", "(", "name", "node", ")").length;

/** Returns the size of a file node with `size` bytes of content, including the content. */
export function narFileSize(size: number, executable: boolean): number {
  return FILE_SIZE + (executable ? EXECUTABLE_SIZE : 0) + narTokenSize(size);
}

/** Returns the size of a symlink node whose target has `targetLength` bytes. */
export function narSymlinkSize(targetLength: number): number {
  return SYMLINK_SIZE + narTokenSize(targetLength);
}

/** Returns the size of an entry whose name has `nameLength` bytes, without its node. */
export function narEntrySize(nameLength: number): number {
  return ENTRY_SIZE + narTokenSize(nameLength);
}

/** Returns the size of the part of an entry before its node. */
export function narEntryOpenSize(nameLength: number): number {
  return ENTRY_OPEN_SIZE + narTokenSize(nameLength);
}

/** Returns the size of the part of a file node before its content. */
export function narFileOpenSize(executable: boolean): number {
  return FILE_OPEN_SIZE + (executable ? EXECUTABLE_SIZE : 0) + 8;
}
