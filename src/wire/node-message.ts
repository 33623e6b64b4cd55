import { EMPTY_BYTES } from "../bytes.ts";
import { asDigest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { checkName, checkNode, type Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";

/**
 * Nodes as the generated messages have them. These interfaces are the common part of tvix's and
 * snix's types. So a message of either family fits them, and a plain object of this form
 * initialises either.
 */
export interface DirectoryNodeMessage {
  name: Uint8Array;
  digest: Uint8Array;
  size: bigint;
}

export interface FileNodeMessage extends DirectoryNodeMessage {
  executable: boolean;
}

export interface SymlinkNodeMessage {
  name: Uint8Array;
  target: Uint8Array;
}

/** A received message. The protobuf library keeps fields unknown to its type in `$unknown`. */
export type Received<T> = T & { readonly $unknown?: readonly unknown[] | undefined };

/** The oneof of `tvix.castore.v1.Node` and of `snix.castore.v1.Entry`. */
export type NodeOneof =
  | { case: "directory"; value: DirectoryNodeMessage }
  | { case: "file"; value: FileNodeMessage }
  | { case: "symlink"; value: SymlinkNodeMessage };

type ReceivedOneof = NodeOneof | { case: undefined; value?: undefined };

/** `tvix.castore.v1.Node`, or `snix.castore.v1.Entry`. */
export type NodeMessage = Received<{ node: ReceivedOneof }> | Received<{ entry: ReceivedOneof }>;

/**
 * Refuses unknown fields, because the model has no room for them, and without them the digest would
 * change.
 *
 * @throws StoreError `invalid` if the message has unknown fields
 */
export function rejectUnknownFields(message: Received<object>, what: string): void {
  if (message.$unknown && message.$unknown.length > 0) throw new StoreError("invalid", `${what} has unknown fields`);
}

/**
 * Reads a node and its name. The name may be empty only if `unnamed` is set.
 *
 * @throws StoreError `invalid`
 */
export function nodeFromMessage(message: NodeMessage | undefined, options: { unnamed?: boolean } = {}): DirectoryEntry {
  if (!message) throw new StoreError("invalid", "the node is missing");
  rejectUnknownFields(message, "node");
  const oneof = "node" in message ? message.node : message.entry;
  const entry = entryFromOneof(oneof);
  if (entry.name.length > 0 || !options.unnamed) checkName(entry.name);
  checkNode(entry.node);
  return entry;
}

function entryFromOneof(oneof: ReceivedOneof): DirectoryEntry {
  switch (oneof.case) {
    case "directory":
      return directoryEntry(oneof.value);
    case "file":
      return fileEntry(oneof.value);
    case "symlink":
      return symlinkEntry(oneof.value);
    default:
      throw new StoreError("invalid", "the node is empty");
  }
}

/**
 * Reads a directory node and its name. The caller must check the rules for names and nodes. The
 * entry shares no memory with the message's buffer, which may be large, while entries are kept for
 * long.
 *
 * @throws StoreError `invalid`
 */
export function directoryEntry(message: Received<DirectoryNodeMessage>): DirectoryEntry {
  rejectUnknownFields(message, "directory node");
  return {
    name: copyOf(message.name),
    node: { kind: "directory", digest: asDigest(copyOf(message.digest), "digest of a directory node"), size: message.size },
  };
}

/**
 * Reads a file node in the same way.
 *
 * @throws StoreError `invalid`
 */
export function fileEntry(message: Received<FileNodeMessage>): DirectoryEntry {
  rejectUnknownFields(message, "file node");
  const { name, size, executable } = message;
  const digest = asDigest(copyOf(message.digest), "digest of a file node");
  return { name: copyOf(name), node: { kind: "file", digest, size, executable } };
}

/**
 * Reads a symlink node in the same way.
 *
 * @throws StoreError `invalid`
 */
export function symlinkEntry(message: Received<SymlinkNodeMessage>): DirectoryEntry {
  rejectUnknownFields(message, "symlink node");
  return { name: copyOf(message.name), node: { kind: "symlink", target: copyOf(message.target) } };
}

/** Copies `bytes`. `slice` would not do: on a Node Buffer it makes a view. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** Creates the oneof for a node called `name`. The name is empty where it has no meaning. */
export function nodeToOneof(node: Node, name: Uint8Array = EMPTY_BYTES): NodeOneof {
  switch (node.kind) {
    case "directory":
      return { case: "directory", value: { name, digest: node.digest, size: node.size } };
    case "file":
      return { case: "file", value: { name, digest: node.digest, size: node.size, executable: node.executable } };
    case "symlink":
      return { case: "symlink", value: { name, target: node.target } };
  }
}
