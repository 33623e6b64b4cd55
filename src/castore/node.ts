import { quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { asDigest, type Digest } from "./digest.ts";

/**
 * The content of a directory entry or of a store path. The name is not part of the node: the
 * directory entry or the store path has it.
 */
export type Node = DirectoryNode | FileNode | SymlinkNode;

export interface DirectoryNode {
  readonly kind: "directory";
  /** Digest of the Directory's canonical encoding. */
  readonly digest: Digest;
  /** Size by the `DirectorySizeRule` that the whole tree uses. Unsigned 64-bit. */
  readonly size: bigint;
}

export interface FileNode {
  readonly kind: "file";
  /** BLAKE3 digest of the content. */
  readonly digest: Digest;
  /** Length of the content in bytes. Unsigned 64-bit. */
  readonly size: bigint;
  readonly executable: boolean;
}

export interface SymlinkNode {
  readonly kind: "symlink";
  /** 1 - 4095 bytes without NUL. */
  readonly target: Uint8Array;
}

export const MAX_NAME_LENGTH = 255;
export const MAX_SYMLINK_TARGET_LENGTH = 4095;
export const MAX_UINT64 = 2n ** 64n - 1n;

/**
 * Checks the name of an entry: 1 - 255 bytes, no `/`, no NUL, neither `.` nor `..`.
 *
 * @throws StoreError `invalid` if `name` breaks a rule
 */
export function checkName(name: Uint8Array): void {
  const reason = nameFault(name);
  if (reason) throw new StoreError("invalid", `entry name ${quoteBytes(name)} ${reason}`);
}

function nameFault(name: Uint8Array): string | undefined {
  if (name.length === 0) return "is empty";
  if (name.length > MAX_NAME_LENGTH) return `is longer than ${MAX_NAME_LENGTH} bytes`;
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return "is reserved";
  for (const byte of name) {
    if (byte === 0x2f) return "contains a slash";
    if (byte === 0) return "contains NUL";
  }
  return undefined;
}

/**
 * Checks the target of a symlink: 1 - 4095 bytes without NUL.
 *
 * @throws StoreError `invalid` if `target` breaks a rule
 */
export function checkSymlinkTarget(target: Uint8Array): void {
  if (target.length === 0) throw new StoreError("invalid", "symlink target is empty");
  if (target.length > MAX_SYMLINK_TARGET_LENGTH) {
    throw new StoreError("invalid", `symlink target is longer than ${MAX_SYMLINK_TARGET_LENGTH} bytes`);
  }
  if (target.includes(0)) throw new StoreError("invalid", `symlink target ${quoteBytes(target)} contains NUL`);
}

/**
 * Checks every rule that applies to a single node.
 *
 * @throws StoreError `invalid` if the node breaks a rule
 */
export function checkNode(node: Node): void {
  if (node.kind === "symlink") {
    checkSymlinkTarget(node.target);
    return;
  }
  asDigest(node.digest, `digest of a ${node.kind} node`);
  if (node.size < 0n || node.size > MAX_UINT64)
    throw new StoreError("invalid", `size of a ${node.kind} node is not an unsigned 64-bit number`);
}
