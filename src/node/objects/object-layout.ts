import { toHex } from "../../bytes.ts";
import type { Digest } from "../../castore/digest.ts";

/**
 * Kind of an object in the layout of tvix and snix, and the first part of its key. `chunks` are the
 * pieces of blobs, `blobs` their chunk lists, and `dirs` closures of directories.
 */
export type ObjectKind = "chunks" | "blobs" | "dirs";

/** Returns the key of an object: `<kind>/b3/<first 2 bytes, hex>/<digest, hex>`. */
export function objectKey(kind: ObjectKind, digest: Digest): string {
  const hex = toHex(digest);
  return `${kind}/b3/${hex.slice(0, 4)}/${hex}`;
}

/**
 * Key prefixes, in the order in which objects have to be written: an object refers only to objects
 * of earlier kinds.
 */
export const KEY_ORDER: readonly string[] = ["chunks/", "blobs/", "dirs/"];
