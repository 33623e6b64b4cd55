import { increment, type PackRecord, toCount, type WriteTransaction } from "./database.ts";

/**
 * Adds and removes index records in a transaction over `packs` and `meta`, and counts them. All
 * changes of `packs` go through this function, so that another number of records means that records
 * were lost.
 */
export async function changeRecords(
  transaction: WriteTransaction,
  added: Iterable<readonly [key: string, record: PackRecord]>,
  removed: readonly string[],
): Promise<void> {
  const packs = transaction.objectStore("packs");
  const meta = transaction.objectStore("meta");
  let count = toCount(await meta.get("records"));
  for (const [key, record] of added) {
    await packs.put(record, key);
    count++;
  }
  for (const key of removed) {
    // Another tab may have removed it already, and counted that.
    if ((await packs.getKey(key)) === undefined) continue;
    await packs.delete(key);
    count--;
  }
  await meta.put(count, "records");
  await increment(transaction, "generation");
}
