import { isStoreError } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { mergePathInfo } from "../store/path-info-merge.ts";
import { decodePathInfo } from "../wire/stored-messages.ts";
import type { WriteTransaction } from "./database.ts";
import type { PackedStore } from "./packed-store.ts";
import type { RepairedPack } from "./repair.ts";
import type { RepairView } from "./repair-view.ts";

/**
 * Finds the path infos in the packs of lost stores. If several packs have path infos of one path,
 * takes the newest one whose content is complete, and adds the signatures of the older ones.
 *
 * @returns path infos that can be restored; and the absolute store paths, sorted, whose content is
 *   not complete and that the store lacks
 */
export async function lostPathInfos(
  store: PackedStore,
  view: RepairView,
  packs: readonly RepairedPack[],
): Promise<{ found: PathInfo[]; incomplete: string[] }> {
  const newestFirst = packs
    .filter(({ isForeign }) => isForeign)
    .sort((a, b) => b.described.header.created - a.described.header.created);
  const found = new Map<string, PathInfo>();
  const incomplete = new Set<string>();
  for (const { described } of newestFirst) {
    // Later path infos of a pack are newer.
    for (const bytes of described.trailer.pathInfos.toReversed()) {
      const info = await decodePathInfo("a pack", bytes).catch(() => undefined);
      if (!info) continue;
      const { storePath } = info;
      const newer = found.get(storePath);
      if (newer) found.set(storePath, merged(newer, info));
      else if (view.isNodeWhole(info.node)) found.set(storePath, info);
      else incomplete.add(storePath);
    }
  }
  for (const storePath of incomplete) {
    const hashPart = parseHashPart(storePath);
    const isThere = async () => (await store.database.read("pathInfos", (infos) => infos.getKey(hashPart))) !== undefined;
    if (found.has(storePath) || (await isThere())) incomplete.delete(storePath);
  }
  return { found: [...found.values()], incomplete: [...incomplete].sort() };
}

/**
 * Puts a path info of a lost store. A path info of the current store stays, and gets the signatures
 * of the lost one.
 *
 * @returns whether the store lacked the path
 */
export async function putLostPathInfo(transaction: WriteTransaction, info: PathInfo): Promise<boolean> {
  const records = transaction.objectStore("pathInfos");
  const hashPart = parseHashPart(info.storePath);
  const current = await records.get(hashPart);
  await records.put(current ? merged(current, info) : info, hashPart);
  return current === undefined;
}

/** Adds the signatures of an older path info, if it describes the same content. */
function merged(info: PathInfo, older: PathInfo): PathInfo {
  try {
    return mergePathInfo(info, older);
  } catch (error) {
    if (!isStoreError(error, "conflict") && !isStoreError(error, "invalid")) throw error;
    return info;
  }
}
