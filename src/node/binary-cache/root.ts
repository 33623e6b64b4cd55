import type { Node } from "../../castore/node.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { StoreError } from "../../error.ts";

/** Whether the store has the root of `node`. Doesn't look at the content beneath. */
export async function hasRoot({ blobs, directories }: CastoreServices, node: Node, signal: AbortSignal): Promise<boolean> {
  if (node.kind === "symlink") return true;
  const found =
    node.kind === "directory" ? await directories.get(node.digest, { signal }) : (await blobs.stat([node.digest], { signal }))[0];
  return found !== undefined;
}

/**
 * @throws StoreError `not-found` if the root of `node` is missing
 */
export async function requireRoot(castore: CastoreServices, node: Node, signal: AbortSignal): Promise<void> {
  if (!(await hasRoot(castore, node, signal))) throw new StoreError("not-found", "the content is not in the store");
}
