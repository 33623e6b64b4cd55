import { join } from "node:path";
import { ingest } from "../castore/ingest.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import { checkContentAddress } from "../store/content-address-check.ts";
import { calculateNar } from "../store/nar.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkNarSizeAndHash, normalizePathInfo } from "../store/path-info-check.ts";
import { checkSameContent } from "../store/path-info-merge.ts";
import type { StoreServices } from "../store/services.ts";
import { fsEntries } from "./fs-entries.ts";
import type { PathGraphEntry } from "./path-graph.ts";

export interface CopyPathsOptions {
  /** Directory that contains `/nix/store`; `/` by default. */
  root?: string | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Copies store paths from the file system into `store`, with the path infos of `graph`,
 * dependencies first. Yields each path info once it is in the store. Doesn't read the content of
 * paths that the store already has.
 *
 * @throws StoreError `corrupt` if the content on disk doesn't match `graph`; `not-found` if a
 *   reference is neither in `graph` nor in the store; `conflict` if the store has a path with other
 *   content
 */
export async function* copyPaths(
  store: StoreServices,
  engine: HashEngine,
  graph: readonly PathGraphEntry[],
  options: CopyPathsOptions = {},
): AsyncGenerator<PathInfo> {
  const { signal } = options;
  const there = new Set<string>();
  const ingestPath = async (path: string): Promise<Node> =>
    (await ingest(store, (uploader) => fsEntries(path, uploader, { signal }), { signal })).node;
  for (const entry of graph) {
    signal?.throwIfAborted();
    const hashPart = parseHashPart(entry.storePath);
    for (const reference of entry.references) {
      const referenced = parseHashPart(reference);
      if (there.has(referenced) || referenced === hashPart) continue;
      if (!(await store.pathInfos.get(referenced, { signal }))) {
        throw new StoreError(
          "not-found",
          `${entry.storePath} refers to ${reference}, which is neither in the JSON nor in the store`,
        );
      }
      there.add(referenced);
    }
    const earlier = await store.pathInfos.get(hashPart, { signal });
    if (earlier) checkSameContent(entry, earlier);
    const node = earlier?.node ?? (await ingestPath(join(options.root ?? "/", entry.storePath)));
    const info = normalizePathInfo({ ...entry, node });
    if (!earlier) checkNarSizeAndHash(info, await calculateNar(store, engine, node, { signal }));
    await checkContentAddress(store, engine, info, { signal });
    yield await store.pathInfos.put(info, { signal });
    there.add(hashPart);
  }
}
