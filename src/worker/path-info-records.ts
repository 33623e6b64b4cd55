import type { PathInfo } from "../store/path-info.ts";
import type { StoreDatabase } from "./database.ts";

/** Number of path infos that are read at once. */
const BATCH = 256;

/**
 * Yields all stored path infos, unchecked, in the order of their hash parts. Each batch has its own
 * transaction, so that a slow reader blocks nobody.
 */
export async function* pathInfoRecords(
  database: StoreDatabase,
  signal?: AbortSignal | undefined,
): AsyncGenerator<{ hashPart: string; info: PathInfo }> {
  for (let after: string | undefined; ; ) {
    signal?.throwIfAborted();
    const range = after === undefined ? undefined : IDBKeyRange.lowerBound(after, true);
    const { keys, infos } = await database.snapshot(["pathInfos"], async (transaction) => {
      const records = transaction.objectStore("pathInfos");
      const [keys, infos] = await Promise.all([records.getAllKeys(range, BATCH), records.getAll(range, BATCH)]);
      return { keys, infos };
    });
    for (const [i, hashPart] of keys.entries()) yield { hashPart, info: infos[i] as PathInfo };
    if (keys.length < BATCH) return;
    after = keys.at(-1);
  }
}
