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
  /** What is `/nix/store/...` in the graph is beneath this directory; `/` by default. */
  root?: string | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Takes store paths from the file system into `store`, with what `graph` says of them, references first. Yields each once it is there;
 * content that is there already is not read again.
 *
 * @throws StoreError `corrupt` if what is on disk is not what the graph says; `not-found` if a reference is neither in the graph nor in
 *   the store; `conflict` if the store has a path with other content
 */
export async function* copyPaths(
  store: StoreServices,
  engine: HashEngine,
  graph: readonly PathGraphEntry[],
  options: CopyPathsOptions = {},
): AsyncGenerator<PathInfo> {
  const { signal } = options;
  const there = new Set<string>();
  const ingestPath = (path: string): Promise<Node> =>
    ingest(store, (uploader) => fsEntries(path, uploader, { signal }), { signal });
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
