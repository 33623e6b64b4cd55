import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { GarbageReport } from "../thread/maintenance-api.ts";
import { toCount } from "./database.ts";
import { Marks } from "./marks.ts";
import { NotedPathInfos } from "./noted-path-infos.ts";
import { HEADER_LENGTH } from "./pack-format.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";
import { PackGone } from "./storage-error.ts";
import { Trim } from "./trim.ts";
import { WriteSession } from "./write-session.ts";

/**
 * A pack is rewritten if less than the fraction `MIN_LIVE` of its bytes is alive. Packs shorter
 * than `SMALL_PACK` bytes are also rewritten, if there are at least `MANY_SMALL_PACKS` of them.
 */
const MIN_LIVE = 0.7;
const SMALL_PACK = 4 * 1024 * 1024;
const MANY_SMALL_PACKS = 8;
/** Bytes that are copied at a time while packs are rewritten. */
const COPIED_AT_ONCE = 4 * 1024 * 1024;

/**
 * Deletes all objects that no store path and no pin refers to. Imports and reads continue
 * meanwhile. A collection can be interrupted at any point without loss. Its steps:
 *
 * 1. Mark each object that is alive, with one bit in memory.
 * 2. Remove all dead objects from the index in one transaction. So each directory in the index,
 *    even a dead one, always has everything that it refers to.
 * 3. Delete packs that no record refers to, unless somebody is writing.
 * 4. Rewrite packs that are mostly dead, in batches. Each batch ends with one transaction.
 * 5. Delete packs that no record refers to, again unless somebody is writing. The last writer to
 *    end then deletes them.
 */
export async function collectGarbage(store: PackedStore, options: OperationOptions): Promise<GarbageReport> {
  return store.locks.collecting(options.signal, async () => {
    const report = await store.holding(async () => {
      const report = await forget(store, options);
      // Sweep first, because rewriting needs free space.
      await store.sweep();
      await rewrite(store, options);
      return report;
    });
    await store.sweep();
    return report;
  });
}

/** Removes dead objects from the index in one transaction. */
async function forget(store: PackedStore, options: OperationOptions): Promise<GarbageReport> {
  const marks = new Marks(store);
  for (;;) {
    // Read the counter before the records. If the counter is the same at the end, no record was
    // added that could rely on objects that are dead here.
    const roots = await store.count("roots");
    await store.refresh();
    const records = [...store.records];
    await marks.markRoots(options);
    options.signal?.throwIfAborted();
    const trim = new Trim(store, records, (entry) => marks.has(entry));
    const { objects, bytes } = trim;
    if (objects === 0) return { objects, bytes };
    const done = await store.database.write(["packs", "meta"], "strict", async (transaction) => {
      // An import may have committed since then, and may rely on objects that look dead here.
      if (toCount(await transaction.objectStore("meta").get("roots")) !== roots) return false;
      await trim.write(transaction);
      return true;
    });
    if (!done) continue;
    await store.refresh();
    return { objects, bytes };
  }
}

/**
 * Copies live objects out of packs that are mostly dead or very small, and removes the old records.
 * The first new pack gets the path infos that no remaining pack has.
 */
async function rewrite(store: PackedStore, options: OperationOptions): Promise<void> {
  const records = [...store.records].filter(({ damaged }) => !damaged);
  const noted = await NotedPathInfos.read(store);
  const sparse = records.filter((record) => record.bytes < MIN_LIVE * objectsLength(record) || noted.isDead(record));
  const small = records.filter((record) => record.size < SMALL_PACK && !sparse.includes(record));
  const chosen = [...sparse, ...(small.length >= MANY_SMALL_PACKS ? small : [])];
  let pathInfos: AsyncIterable<PathInfo> | undefined = noted.lacking(new Set(chosen));
  const total = chosen.reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = 0;
  for (let next = 0; next < chosen.length; ) {
    options.signal?.throwIfAborted();
    // Rewrite in batches: an abort then loses little work, and the copies need little space.
    const some: IndexRecord[] = [];
    for (let bytes = 0; next < chosen.length && bytes < 16 * COPIED_AT_ONCE; next++) {
      const record = chosen[next] as IndexRecord;
      some.push(record);
      bytes += record.bytes;
    }
    const onBytes = (bytes: number): void => {
      loaded += bytes;
      options.onProgress?.({ phase: "rewriting", unit: "bytes", loaded, total });
    };
    try {
      await rewriteSome(store, new Set(some), pathInfos, options.signal, onBytes);
      pathInfos = undefined;
    } catch (error) {
      // A damaged pack and the others of its batch stay as they are. `verify` reports the damage.
      if (!(error instanceof PackGone)) throw error;
      pathInfos &&= noted.lacking(new Set(chosen));
    }
  }
  if (pathInfos) await rewriteSome(store, new Set(), pathInfos, options.signal, () => {});
}

/** Bytes of a pack between its header and its trailer, dead objects included. */
function objectsLength({ size, trailer }: IndexRecord): number {
  return trailer === 0 ? size : size - trailer - HEADER_LENGTH;
}

async function rewriteSome(
  store: PackedStore,
  records: ReadonlySet<IndexRecord>,
  pathInfos: AsyncIterable<PathInfo> | undefined,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await store.locks.writing(signal, async () => {
    const session = new WriteSession(store, { durability: "strict", replaces: records, compares: false });
    try {
      let batch: number[] = [];
      let bytes = 0;
      const { table } = store;
      const copy = async (): Promise<void> => {
        signal?.throwIfAborted();
        const found = await store.readLocations(batch.map((entry) => table.location(entry)));
        await session.write(
          batch.map((entry, i) => ({
            kind: table.location(entry).kind,
            digest: table.digest(entry),
            bytes: found[i] as Uint8Array,
          })),
        );
        onBytes(bytes);
        batch = [];
        bytes = 0;
      };
      const count = table.count;
      for (let entry = 0; entry < count; entry++) {
        const { record, length } = table.location(entry);
        if (!records.has(record)) continue;
        batch.push(entry);
        bytes += length;
        if (bytes >= COPIED_AT_ONCE) await copy();
      }
      if (batch.length > 0) await copy();
      signal?.throwIfAborted();
      await session.commit([], async () => {}, pathInfos);
    } finally {
      await session.close();
    }
  });
}
