import { compareBytes } from "../bytes.ts";
import { formatDigest } from "../castore/digest.ts";
import { checkDirectory, type Directory, type DirectoryEntry } from "../castore/directory.ts";
import { directoryDigest, encodeDirectory } from "../castore/directory-codec.ts";
import { StoreError } from "../error.ts";
import {
  type DirectoryNodeMessage,
  directoryEntry,
  type FileNodeMessage,
  fileEntry,
  type Received,
  rejectUnknownFields,
  type SymlinkNodeMessage,
  symlinkEntry,
} from "./node-message.ts";

/** Common form of the `Directory` of tvix and of snix. */
export interface DirectoryMessage {
  directories: DirectoryNodeMessage[];
  files: FileNodeMessage[];
  symlinks: SymlinkNodeMessage[];
}

/**
 * Maximum size of a Directory message, in bytes. gRPC peers accept messages up to 4 MiB by default,
 * and stock tvix and snix keep that default. A larger Directory could be stored, but never sent to
 * them.
 */
export const MAX_DIRECTORY_MESSAGE = 4 * 1024 * 1024;

/**
 * Reads a Directory and checks every rule that concerns this Directory alone, as castore's own
 * codec does.
 *
 * @throws StoreError `invalid`
 */
export function directoryFromMessage(message: Received<DirectoryMessage>): Directory {
  rejectUnknownFields(message, "Directory");
  const lists = [message.directories.map(directoryEntry), message.files.map(fileEntry), message.symlinks.map(symlinkEntry)];
  for (const list of lists) checkOrder(list);
  const directory = { entries: lists.flat().sort((a, b) => compareBytes(a.name, b.name)) };
  checkDirectory(directory);
  return directory;
}

/**
 * Checks the order of one list. The check comes before the lists are merged and sorted, because
 * that hides their original order.
 */
function checkOrder(list: readonly DirectoryEntry[]): void {
  let previous: DirectoryEntry | undefined;
  for (const entry of list) {
    if (previous && compareBytes(previous.name, entry.name) >= 0)
      throw new StoreError("invalid", `Directory's ${entry.node.kind} entries are not strictly ascending by name`);
    previous = entry;
  }
}

/** Converts a valid Directory to the initial value of either family's message. */
export function directoryToMessage(directory: Directory): DirectoryMessage {
  const message: DirectoryMessage = { directories: [], files: [], symlinks: [] };
  for (const { name, node } of directory.entries) {
    if (node.kind === "directory") message.directories.push({ name, digest: node.digest, size: node.size });
    else if (node.kind === "file") {
      message.files.push({ name, digest: node.digest, size: node.size, executable: node.executable });
    } else message.symlinks.push({ name, target: node.target });
  }
  return message;
}

/** Upper bound of an entry's encoded size without its name and target, in bytes. */
const ENTRY_OVERHEAD = 64;

/**
 * @throws StoreError `invalid` if `directory` encodes to more than `MAX_DIRECTORY_MESSAGE` bytes
 */
export function checkDirectoryMessageSize(directory: Directory): void {
  let atMost = 0;
  for (const { name, node } of directory.entries) {
    atMost += ENTRY_OVERHEAD + name.length + (node.kind === "symlink" ? node.target.length : 0);
  }
  if (atMost <= MAX_DIRECTORY_MESSAGE) return;
  const size = encodeDirectory(directory).length;
  if (size > MAX_DIRECTORY_MESSAGE) {
    throw new StoreError(
      "invalid",
      `directory ${formatDigest(directoryDigest(directory))} with ${directory.entries.length} entries takes ${size} bytes; gRPC peers accept at most ${MAX_DIRECTORY_MESSAGE}`,
    );
  }
}
