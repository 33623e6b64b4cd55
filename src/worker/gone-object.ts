import { type Digest, formatDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import type { ObjectKind } from "./object-table.ts";
import type { PackedStore } from "./packed-store.ts";

/**
 * Reads an object from a pack that no record refers to any more, but that still exists.
 *
 * @throws StoreError `conflict` if no such pack has the object
 */
export async function readGone(store: PackedStore, kind: ObjectKind, digest: Digest): Promise<Uint8Array> {
  const { table } = store;
  const candidates: number[] = [];
  table.find(digest, kind, (_, entry) => {
    candidates.push(entry);
    return false;
  });
  for (const entry of candidates) {
    const [bytes] = await store.readLocations([table.location(entry)]).catch(() => []);
    if (bytes) return bytes;
  }
  const why = "it was garbage-collected, or the browser has cleared this site's files. Try again.";
  throw new StoreError("conflict", `object ${formatDigest(digest)} has disappeared during the write: ${why}`);
}
