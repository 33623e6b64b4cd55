import { decodeUtf8 } from "../bytes.ts";
import type { DirectoryEntry } from "../castore/directory.ts";

/** An entry of a listed directory, in a form to show. */
export interface ListEntry {
  /** Name decoded for display; `nameBytes` is the exact name. */
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly kind: "file" | "directory" | "symlink";
  /** Bytes of a file, number of entries beneath a directory, or bytes of a symlink's target. */
  readonly size: number;
  readonly executable: boolean;
  /** Target of a symlink, decoded for display. */
  readonly target?: string | undefined;
  readonly targetBytes?: Uint8Array | undefined;
  /** BLAKE3 digest (32 bytes) of a file's content or of a directory's encoding. */
  readonly digest?: Uint8Array | undefined;
}

export function listEntry({ name, node }: DirectoryEntry): ListEntry {
  const common = { name: decodeUtf8(name), nameBytes: name, kind: node.kind };
  if (node.kind === "symlink") {
    return { ...common, size: node.target.length, executable: false, target: decodeUtf8(node.target), targetBytes: node.target };
  }
  const executable = node.kind === "file" && node.executable;
  return { ...common, size: Number(node.size), executable, digest: node.digest };
}
