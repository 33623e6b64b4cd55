import type { OperationOptions } from "../progress.ts";
import type { GarbageReport } from "../thread/store-api.ts";
import { toCount } from "./database.ts";
import { Marks } from "./marks.ts";
import type { IndexRecord, PackedStore } from "./packed-store.ts";
import { PackGone } from "./storage-error.ts";
import { Trim } from "./trim.ts";
import { WriteSession } from "./write-session.ts";

/** A pack of which less than this part is alive is rewritten; so are packs smaller than this, if there are several. */
const MIN_LIVE = 0.7;
const SMALL_PACK = 4 * 1024 * 1024;
const MANY_SMALL_PACKS = 8;
/** Bytes that are copied at a time while packs are rewritten. */
const COPIED_AT_ONCE = 4 * 1024 * 1024;

/**
 * Deletes what no store path and no pin refers to. Imports and reads go on beside it. In this order, each step a transaction, so that it can be
 * broken off at any moment and loses nothing:
 *
 * 1. Everything that is alive is marked: a bit for each object.
 * 2. All dead objects disappear from the index at once. So a directory never lacks what it refers to, not even a dead one.
 * 3. Packs that are mostly dead are rewritten, one batch after the other.
 * 4. Packs that nothing refers to are removed as soon as nobody writes.
 */
export async function collectGarbage(store: PackedStore, options: OperationOptions): Promise<GarbageReport> {
  return store.locks.collecting(options.signal, async () => {
    const report = await store.holding(async () => {
      const report = await forget(store, options);
      // First, as rewriting takes room.
      await store.sweep();
      await rewrite(store, options);
      return report;
    });
    await store.sweep();
    return report;
  });
}

/** Takes dead objects out of the index. */
async function forget(store: PackedStore, options: OperationOptions): Promise<GarbageReport> {
  const marks = new Marks(store);
  for (;;) {
    // In this order: if as many roots are there in the end, no record has come that could rely on what is dead in these.
    const roots = await store.count("roots");
    await store.refresh();
    const records = [...store.records];
    await marks.markRoots(options);
    options.signal?.throwIfAborted();
    const trim = new Trim(store, records, (entry) => marks.has(entry));
    const { objects, bytes } = trim;
    if (objects === 0) return { objects, bytes };
    const done = await store.database.write(["packs", "meta"], "strict", async (transaction) => {
      // An import may have published something since, and have relied on what we take for dead.
      if (toCount(await transaction.objectStore("meta").get("roots")) !== roots) return false;
      await trim.write(transaction);
      return true;
    });
    if (!done) continue;
    await store.refresh();
    return { objects, bytes };
  }
}

/** Copies what is alive out of packs that are mostly dead, or very small, and takes them out of the index. */
async function rewrite(store: PackedStore, options: OperationOptions): Promise<void> {
  const records = [...store.records].filter(({ damaged }) => !damaged);
  const sparse = records.filter(({ bytes, size }) => bytes < MIN_LIVE * size);
  const small = records.filter((record) => record.size < SMALL_PACK && !sparse.includes(record));
  const chosen = [...sparse, ...(small.length >= MANY_SMALL_PACKS ? small : [])];
  const total = chosen.reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = 0;
  for (let next = 0; next < chosen.length; ) {
    options.signal?.throwIfAborted();
    // Some at a time, so that little is lost by an abort, and not much room is needed.
    const some: IndexRecord[] = [];
    for (let bytes = 0; next < chosen.length && bytes < 16 * COPIED_AT_ONCE; next++) {
      const record = chosen[next] as IndexRecord;
      some.push(record);
      bytes += record.bytes;
    }
    const onBytes = (bytes: number): void => {
      loaded += bytes;
      options.onProgress?.({ phase: "rewriting", loaded, total });
    };
    try {
      await rewriteSome(store, new Set(some), options.signal, onBytes);
    } catch (error) {
      // A damaged pack stays as it is, with the others of its batch, for `verify` to tell.
      if (!(error instanceof PackGone)) throw error;
    }
  }
}

async function rewriteSome(
  store: PackedStore,
  records: ReadonlySet<IndexRecord>,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await store.locks.writing(signal, async () => {
    const session = new WriteSession(store, { durability: "strict", replaces: records });
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
      await session.commit([], async () => {});
    } finally {
      await session.close();
    }
  });
}
