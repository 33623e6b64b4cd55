import type { BlobService } from "../../castore/blob-service.ts";
import { type Digest, digestKey, formatDigest } from "../../castore/digest.ts";
import type { Node } from "../../castore/node.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { StoreError } from "../../error.ts";
import { iterate } from "../../stream.ts";

/**
 * Reads the files of `node`, to find out why its NAR can't be rendered. If a size in the tree is
 * wrong, the sender of the tree is at fault. If content doesn't match its digest, the store is.
 * Skips missing files.
 *
 * @throws StoreError `invalid` if a file's size differs from its node, `corrupt` if a file can't be
 *   read; the first problem counts
 */
export async function checkFileSizes(castore: CastoreServices, node: Node, signal: AbortSignal): Promise<void> {
  const checked = new Set<string>();
  const check = async (child: Node): Promise<void> => {
    if (child.kind !== "file") return;
    const key = `${digestKey(child.digest)}${child.size}`;
    if (checked.has(key)) return;
    checked.add(key);
    if ((await hasSize(castore.blobs, child.digest, child.size, signal)) ?? true) return;
    throw new StoreError("invalid", `blob ${formatDigest(child.digest)} doesn't have the ${child.size} bytes that its node states`);
  };
  if (node.kind !== "directory") return check(node);
  for await (const { entries } of (await castore.directories.getClosure(node.digest, { signal })) ?? []) {
    for (const entry of entries) await check(entry.node);
  }
}

/** Returns `undefined` if the blob is missing. */
async function hasSize(blobs: BlobService, digest: Digest, size: bigint, signal: AbortSignal): Promise<boolean | undefined> {
  const content = await blobs.open(digest, { signal });
  if (!content) return undefined;
  let length = 0n;
  for await (const piece of iterate(content, signal)) {
    length += BigInt(piece.length);
    if (length > size) return false;
  }
  return length === size;
}
