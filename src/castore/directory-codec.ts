import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { compareBytes, EMPTY_BYTES } from "../bytes.ts";
import { isStoreError, StoreError } from "../error.ts";
import { asDigest, type Digest, digestOf } from "./digest.ts";
import { checkDirectory, type Directory, type DirectoryEntry, type DirectorySizeRule, directorySize } from "./directory.ts";
import { MessageWriter, varintLength } from "./message-writer.ts";
import { checkName, checkNode, type DirectoryNode, MAX_SYMLINK_TARGET_LENGTH, type Node } from "./node.ts";

/**
 * The canonical encoding of `tvix.castore.v1.Directory` and `Node`: fields in order, no default
 * values, no unknown fields. Digests are taken over these bytes, so this codec is hand-written and
 * does not depend on a code generator's output.
 */

/**
 * Maximum length in bytes of an encoded `Node` without a name. The longest one is a symlink: its
 * target, and three bytes each for the tag and length of the target and of the symlink.
 */
export const MAX_UNNAMED_NODE_LENGTH = MAX_SYMLINK_TARGET_LENGTH + 6;

const KINDS = ["directory", "file", "symlink"] as const;
type Kind = (typeof KINDS)[number];

/**
 * Numbers of the list fields in `Directory` and of the oneof fields in `Node`. Both messages use
 * the same numbers.
 */
const FIELD: Record<Kind, number> = { directory: 1, file: 2, symlink: 3 };

/**
 * Encodings of directories that are still in use. Each check on the way into a store needs a
 * directory's bytes and digest, so they are computed once.
 */
const encoded = new WeakMap<Directory, { readonly bytes: Uint8Array; digest?: Digest }>();

function encodedOnce(directory: Directory): { readonly bytes: Uint8Array; digest?: Digest } {
  const known = encoded.get(directory) ?? { bytes: encode(directory) };
  encoded.set(directory, known);
  return known;
}

/**
 * Encodes `directory`, which must be valid (`checkDirectory`). The empty directory encodes to no
 * bytes. Repeated calls return the same array, so the caller must not change it.
 */
export function encodeDirectory(directory: Directory): Uint8Array {
  return encodedOnce(directory).bytes;
}

/** BLAKE3 digest of the canonical encoding. */
export function directoryDigest(directory: Directory): Digest {
  const known = encodedOnce(directory);
  known.digest ??= digestOf(known.bytes);
  return known.digest;
}

function encode(directory: Directory): Uint8Array {
  const lengths = directory.entries.map(({ name, node }) => namedNodeLength(name, node));
  const writer = new MessageWriter(lengths.reduce((sum, length) => sum + 1 + varintLength(length) + length, 0));
  for (const kind of KINDS) {
    for (const [i, { name, node }] of directory.entries.entries()) {
      if (node.kind === kind) writeNamedNode(writer, name, node, lengths[i] as number);
    }
  }
  return writer.bytes;
}

/** The node with which a parent refers to `directory`. */
export function directoryNode(directory: Directory, rule: DirectorySizeRule): DirectoryNode {
  return { kind: "directory", digest: directoryDigest(directory), size: directorySize(directory, rule) };
}

/** Encodes a `Node` message. `name` is the base name of a store path, or empty as in NAR URLs. */
export function encodeNode(name: Uint8Array, node: Node): Uint8Array {
  const length = namedNodeLength(name, node);
  const writer = new MessageWriter(1 + varintLength(length) + length);
  writeNamedNode(writer, name, node, length);
  return writer.bytes;
}

/**
 * Number of bytes that `writeNamedNode` writes after its own tag and length. All field numbers are
 * below 16, so each tag takes one byte.
 */
function namedNodeLength(name: Uint8Array, node: Node): number {
  const content = node.kind === "symlink" ? node.target : node.digest;
  let length = 1 + varintLength(content.length) + content.length;
  if (name.length > 0) length += 1 + varintLength(name.length) + name.length;
  if (node.kind !== "symlink" && node.size !== 0n) length += 1 + varintLength(node.size);
  if (node.kind === "file" && node.executable) length += 2;
  return length;
}

function writeNamedNode(writer: MessageWriter, name: Uint8Array, node: Node, length: number): void {
  writer.tag(FIELD[node.kind], WireType.LengthDelimited);
  writer.varint(length);
  if (name.length > 0) writer.field(1, name);
  writer.field(2, node.kind === "symlink" ? node.target : node.digest);
  if (node.kind === "symlink") return;
  if (node.size !== 0n) {
    writer.tag(3, WireType.Varint);
    writer.varint(node.size);
  }
  if (node.kind === "file" && node.executable) {
    writer.tag(4, WireType.Varint);
    writer.varint(1);
  }
}

/**
 * Decodes a Directory and checks every rule that applies to a single directory. The bytes may be in
 * a non-canonical form, but must not contain anything that the canonical form can't represent.
 *
 * @throws StoreError `invalid` if the bytes are not a Directory, or break a rule
 */
export function decodeDirectory(bytes: Uint8Array): Directory {
  return decoding("Directory", () => {
    const lists: Record<Kind, DirectoryEntry[]> = { directory: [], file: [], symlink: [] };
    readFields(bytes, (reader, field) => {
      const kind = KINDS.find((candidate) => FIELD[candidate] === field);
      if (!kind) return false;
      const entry = decodeNamedNode(kind, reader.bytes());
      const last = lists[kind].at(-1);
      // Merging the three lists below hides the order within each list, so check the order here
      // too.
      if (last && compareBytes(last.name, entry.name) >= 0)
        throw new StoreError("invalid", `its ${kind} entries are not strictly ascending by name`);
      lists[kind].push(entry);
      return WireType.LengthDelimited;
    });
    const entries = [...lists.directory, ...lists.file, ...lists.symlink].sort((a, b) => compareBytes(a.name, b.name));
    checkDirectory({ entries });
    return { entries };
  });
}

/**
 * Decodes a `Node` message. Its name may be empty.
 *
 * @throws StoreError `invalid` if the bytes are not a Node, or break a rule
 */
export function decodeNode(bytes: Uint8Array): DirectoryEntry {
  return decoding("Node", () => {
    let entry: DirectoryEntry | undefined;
    readFields(bytes, (reader, field) => {
      const kind = KINDS.find((candidate) => FIELD[candidate] === field);
      if (!kind) return false;
      if (entry) throw new StoreError("invalid", "it holds more than one node");
      entry = decodeNamedNode(kind, reader.bytes());
      return WireType.LengthDelimited;
    });
    if (!entry) throw new StoreError("invalid", "it holds no node");
    if (entry.name.length > 0) checkName(entry.name);
    checkNode(entry.node);
    return entry;
  });
}

function decodeNamedNode(kind: Kind, bytes: Uint8Array): DirectoryEntry {
  let name: Uint8Array = EMPTY_BYTES;
  let content: Uint8Array = EMPTY_BYTES;
  let size = 0n;
  let executable = false;
  readFields(bytes, (reader, field, wireType) => {
    if (field === 1 && wireType === WireType.LengthDelimited) name = reader.bytes().slice();
    else if (field === 2 && wireType === WireType.LengthDelimited) content = reader.bytes().slice();
    else if (field === 3 && kind !== "symlink" && wireType === WireType.Varint) size = BigInt(reader.uint64());
    else if (field === 4 && kind === "file" && wireType === WireType.Varint) executable = reader.bool();
    else return false;
    return wireType;
  });
  if (kind === "symlink") return { name, node: { kind, target: content } };
  const digest = asDigest(content, `digest of a ${kind} node`);
  return { name, node: kind === "file" ? { kind, digest, size, executable } : { kind, digest, size } };
}

/**
 * Calls `read` for each field. `read` returns the wire type that it expected, or `false` for a
 * field that it does not know.
 */
function readFields(bytes: Uint8Array, read: (reader: BinaryReader, field: number, wireType: WireType) => WireType | false): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (read(reader, field, wireType) !== wireType)
      throw new StoreError("invalid", `field ${field} is unknown or has the wrong type`);
  }
}

/** Turns the protobuf library's exceptions into StoreErrors. */
function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (isStoreError(error)) throw new StoreError(error.code, `${what}: ${error.message}`, { cause: error });
    throw new StoreError("invalid", `${what} is not a protobuf message of its type`, { cause: error });
  }
}
