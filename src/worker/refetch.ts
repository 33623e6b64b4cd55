import { equalBytes } from "../bytes.ts";
import { type DirectorySizeRule, SIZE_RULES, sizeRulesOf } from "../castore/directory.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { copyContent } from "../store/copy-content.ts";
import type { RemoteStore } from "../store/services.ts";
import { writePacked } from "./packed-services.ts";
import type { PackedStore } from "./packed-store.ts";
import type { Verified } from "./verify.ts";

/**
 * Fetches damaged and missing objects from a remote, and removes damaged objects from the index
 * once there are good ones. Packs must not be rewritten meanwhile.
 *
 * @returns number of store paths that are complete again
 */
export async function refetch(
  store: PackedStore,
  engine: HashEngine,
  { damaged, roots }: Pick<Verified, "damaged" | "roots">,
  remote: RemoteStore,
  options: OperationOptions,
): Promise<number> {
  let whole = 0;
  let loaded = 0;
  const onBytes = (bytes: number): void => {
    loaded += bytes;
    options.onProgress?.({ phase: "refetching", unit: "bytes", loaded });
  };
  await writePacked(
    store,
    engine,
    { durability: "strict", signal: options.signal, distrusts: damaged },
    async (services, session) => {
      for (const { storePath, node } of roots) {
        try {
          const known = storePath === undefined ? undefined : await remote.pathInfos.get(parseHashPart(storePath), options);
          const there = known?.node ?? node;
          const { node: copied } = await copyContent(remote, services, there, {
            signal: options.signal,
            sizeRule: await ownRule(node, there, remote, options.signal),
            trustTarget: false,
            onBytes,
          });
          // The remote may have other content under this store path.
          if (storePath !== undefined && hasSameContent(copied, node)) whole++;
        } catch (error) {
          options.signal?.throwIfAborted();
          // The remote may lack only this one; go on with the others.
          if (!isStoreError(error, "not-found")) throw error;
        }
      }
      await session.commit([], async () => {});
    },
  );
  return whole;
}

function hasSameContent(a: Node, b: Node): boolean {
  return a.kind !== "symlink" && b.kind === a.kind && equalBytes(a.digest, b.digest);
}

/**
 * Finds the directory size rule by which `own` was encoded. The content of `own` is damaged, so
 * `own` itself can't tell. The remote may have the same content under another digest, because it
 * uses the other rule.
 */
async function ownRule(
  own: Node,
  there: Node,
  remote: CastoreServices,
  signal: AbortSignal | undefined,
): Promise<DirectorySizeRule | undefined> {
  if (own.kind !== "directory" || there.kind !== "directory" || equalBytes(own.digest, there.digest)) return undefined;
  const root = await remote.directories.get(there.digest, { signal });
  const used = root ? sizeRulesOf(root, there.size) : [];
  return SIZE_RULES.find((rule) => !used.includes(rule));
}
