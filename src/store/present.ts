import { allEnded } from "../all-ended.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";
import { checkSameContent } from "./path-info-merge.ts";
import type { StoreServices } from "./services.ts";

/** Facts about a path that are known before its content is here. */
export type KnownPath = Pick<PathInfo, "storePath" | "narHash" | "references" | "signatures">;

/** Path infos requested at a time. */
const CONCURRENCY = 16;

/**
 * Adds the signatures of `infos` to the path infos that the target already has.
 *
 * @returns the paths that the target lacks, in their order
 * @throws StoreError `conflict` if the target has one of the paths with other content or other
 *   references. Then nothing has changed.
 */
export async function addToPresent<T extends KnownPath>(
  to: Pick<StoreServices, "pathInfos">,
  infos: readonly T[],
  signal: AbortSignal | undefined,
): Promise<T[]> {
  const present: (PathInfo | undefined)[] = [];
  for (let i = 0; i < infos.length; i += CONCURRENCY) {
    signal?.throwIfAborted();
    const some = infos.slice(i, i + CONCURRENCY);
    present.push(...(await allEnded(some.map((info) => to.pathInfos.get(parseHashPart(info.storePath), { signal })))));
  }
  // All paths are checked before the first write, so a conflict changes nothing.
  for (const [i, info] of infos.entries()) {
    const earlier = present[i];
    if (earlier) checkSameContent(info, earlier);
  }
  const missing: T[] = [];
  for (const [i, info] of infos.entries()) {
    const earlier = present[i];
    if (!earlier) missing.push(info);
    else if (info.signatures.some((signature) => !earlier.signatures.includes(signature))) {
      await to.pathInfos.put({ ...earlier, signatures: info.signatures }, { signal });
    }
  }
  return missing;
}
