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

/** `Directory` of tvix and of snix. */
export interface DirectoryMessage {
  directories: DirectoryNodeMessage[];
  files: FileNodeMessage[];
  symlinks: SymlinkNodeMessage[];
}

/**
 * gRPC peers take messages up to 4 MiB unless they were told otherwise, and stock tvix and snix were not: a Directory past it can be
 * stored, but goes nowhere.
 */
export const MAX_DIRECTORY_MESSAGE = 4 * 1024 * 1024;

/**
 * Reads a Directory and checks every rule that concerns it by itself, as castore's own codec does.
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

/** Each list by itself: merged and sorted, they no longer show in which order they came. */
function checkOrder(list: readonly DirectoryEntry[]): void {
  let previous: DirectoryEntry | undefined;
  for (const entry of list) {
    if (previous && compareBytes(previous.name, entry.name) >= 0)
      throw new StoreError("invalid", `Directory's ${entry.node.kind} entries are not strictly ascending by name`);
    previous = entry;
  }
}

/** What either family's Directory message is started from. `directory` must be valid. */
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

/** More than the tags, lengths, digest and size of any entry take, besides its name and target. */
const ENTRY_OVERHEAD = 64;

/** @throws StoreError `invalid` if `directory` is larger than `MAX_DIRECTORY_MESSAGE` when it is encoded */
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
      `directory ${formatDigest(directoryDigest(directory))} with ${directory.entries.length} entries takes ${size} bytes; gRPC peers take no messages past ${MAX_DIRECTORY_MESSAGE}`,
    );
  }
}
