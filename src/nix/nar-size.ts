import { NAR_MAGIC, narTokenSize, narTokens } from "./nar-grammar.ts";

/**
 * Sizes of the parts of an archive, in bytes: an archive's size is that of its header and of its nodes, which is known without a
 * look at any content.
 *
 *     NAR_HEADER_SIZE + node, where node is one of
 *       narFileSize(size, executable)
 *       narSymlinkSize(targetLength)
 *       NAR_DIRECTORY_SIZE + for each entry: narEntrySize(nameLength) + node
 */
export const NAR_HEADER_SIZE: number = narTokens(NAR_MAGIC).length;

/** A directory without its entries. */
export const NAR_DIRECTORY_SIZE: number = narTokens("(", "type", "directory", ")").length;

/** What comes before a directory's first entry. */
export const NAR_DIRECTORY_OPEN_SIZE: number = narTokens("(", "type", "directory").length;

const ENTRY_OPEN_SIZE = narTokens("entry", "(", "name", "node").length;
const FILE_OPEN_SIZE = narTokens("(", "type", "regular", "contents").length;
const FILE_SIZE = narTokens("(", "type", "regular", "contents", ")").length;
const EXECUTABLE_SIZE = narTokens("executable", "").length;
const SYMLINK_SIZE = narTokens("(", "type", "symlink", "target", ")").length;
const ENTRY_SIZE = narTokens("entry", "(", "name", "node", ")").length;

/** A file of `size` bytes, its content included. */
export function narFileSize(size: number, executable: boolean): number {
  return FILE_SIZE + (executable ? EXECUTABLE_SIZE : 0) + narTokenSize(size);
}

/** A symlink whose target has `targetLength` bytes. */
export function narSymlinkSize(targetLength: number): number {
  return SYMLINK_SIZE + narTokenSize(targetLength);
}

/** What an entry whose name has `nameLength` bytes adds to a directory, besides its node. */
export function narEntrySize(nameLength: number): number {
  return ENTRY_SIZE + narTokenSize(nameLength);
}

/** Of an entry, what comes before its node. */
export function narEntryOpenSize(nameLength: number): number {
  return ENTRY_OPEN_SIZE + narTokenSize(nameLength);
}

/** Of a file, what comes before its content. */
export function narFileOpenSize(executable: boolean): number {
  return FILE_OPEN_SIZE + (executable ? EXECUTABLE_SIZE : 0) + 8;
}
