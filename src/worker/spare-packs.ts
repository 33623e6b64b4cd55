import { isStoreError } from "../error.ts";
import type { PackStore } from "./pack-store.ts";
import { readHeader, readTrailer } from "./pack-trailer.ts";
import type { PackedStore } from "./packed-store.ts";

/** A pack that no index record refers to. */
export interface SparePack {
  readonly id: string;
  readonly storage: "opfs" | "indexeddb";
  /**
   * - `garbage`: an aborted or killed session wrote it, or its objects were collected.
   * - `lost`: the pack is complete, but the database or the index records are lost.
   * - `in use`: somebody has the file open, so the pack can't be read or deleted now.
   */
  readonly state: "garbage" | "lost" | "in use";
}

/**
 * Yields the packs that no index record refers to. A pack is `lost`, and not garbage, if it is
 * complete and one of these is true:
 *
 * - Another store wrote it, and this store has not adopted that store. A new database has a new id,
 *   so this happens when the database was lost and the files were not.
 * - The index lacks records, or a record is damaged. Then the record of this pack may be lost.
 *
 * The caller has to refresh the index first.
 */
export async function* sparePacks(store: PackedStore): AsyncGenerator<SparePack> {
  const used = new Set<string>();
  for (const { pack } of store.records) used.add(pack);
  const isDamaged = store.isIndexDamaged;
  let own: ReadonlySet<string> | undefined;
  for (const storage of ["indexeddb", "opfs"] as const) {
    const packs = store.packs[storage];
    for (const id of (await packs?.list()) ?? []) {
      if (!packs || used.has(id)) continue;
      own ??= await ownIds(store);
      yield { id, storage, state: await stateOf(packs, id, isDamaged ? new Set() : own) };
      // Nobody can delete a pack that is open for reading.
      packs.release(id);
    }
  }
}

/** Number of packs that are lost: complete packs that `repairIndex` can add to the index. */
export async function countLostPacks(store: PackedStore): Promise<number> {
  let count = 0;
  for await (const { state } of sparePacks(store)) if (state === "lost") count++;
  return count;
}

/** Ids of this store, and of the lost stores whose packs it has taken over. */
export async function ownIds(store: PackedStore): Promise<Set<string>> {
  const adopted = await store.database.read("meta", (meta) => meta.get("adopted"));
  return new Set([await store.id(), ...(Array.isArray(adopted) ? adopted.map(String) : [])]);
}

/** @param own ids of stores that have an index: their packs without a record are garbage */
async function stateOf(packs: PackStore, id: string, own: ReadonlySet<string>): Promise<SparePack["state"]> {
  try {
    const start = await readHeader(packs, id);
    if (!start || own.has(start.header.store)) return "garbage";
    await readTrailer(packs, id, start);
    return "lost";
  } catch (error) {
    if (isStoreError(error, "corrupt")) return "garbage";
    if (isStoreError(error, "unavailable")) return "in use";
    throw error;
  }
}
