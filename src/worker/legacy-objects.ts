import { asDigest } from "../castore/digest.ts";
import type { OperationOptions } from "../progress.ts";
import { decodeChunkList, encodeBlob } from "./blob-object.ts";
import { increment, type LEGACY_STORES, type LegacyBlob, type StoreDatabase, type WriteTransaction } from "./database.ts";
import { BLOB, CHUNK, DIRECTORY } from "./object-table.ts";
import type { NewObject } from "./object-view.ts";
import type { PackedStore } from "./packed-store.ts";
import { WriteSession } from "./write-session.ts";

/** Approximate bytes, and number of objects, that one commit moves. */
const BATCH_BYTES = 32 * 1024 * 1024;
const BATCH_COUNT = 4096;
const READ_AT_ONCE = 64;

type LegacyStore = (typeof LEGACY_STORES)[number];
type Key = IDBValidKey & (Uint8Array<ArrayBuffer> | ArrayBuffer);

/**
 * Packs the objects of a database of version 1, which had a record for each object. Progress:
 * `upgrading`, in objects.
 *
 * Each commit moves some objects, so that the upgrade can be interrupted and needs little space.
 * Chunks come first and directories last, because blobs refer to chunks, and directories refer to
 * both.
 */
export async function packLegacyObjects(store: PackedStore, { signal, onProgress }: OperationOptions = {}): Promise<void> {
  const { database } = store;
  const names = await database.legacyStores();
  const counts = await Promise.all(names.map((name) => database.read(name, (records) => records.count())));
  const total = counts.reduce((sum, count) => sum + count, 0);
  let loaded = 0;
  for (const [i, name] of names.entries()) {
    if (counts[i] === 0) continue;
    await store.locks.writing(signal, () =>
      store.holding(async () => {
        // From here on, no pack that is in the index is removed.
        await store.refresh();
        const session = new WriteSession(store, { durability: "strict", compares: false });
        try {
          for (let moved = -1; moved !== 0; loaded += moved) {
            signal?.throwIfAborted();
            moved = await moveSome(database, session, name);
            if (moved > 0) onProgress?.({ phase: "upgrading", unit: "objects", loaded: loaded + moved, total });
          }
        } finally {
          await session.close();
        }
      }),
    );
  }
}

/**
 * Moves some objects into packs, in one commit.
 *
 * @returns number of objects moved; 0 if none are left
 */
async function moveSome(database: StoreDatabase, session: WriteSession, name: LegacyStore): Promise<number> {
  const keys: Key[] = [];
  let bytes = 0;
  for (let after: Key | undefined; bytes < BATCH_BYTES && keys.length < BATCH_COUNT; ) {
    const range = after && IDBKeyRange.lowerBound(after, true);
    const some = await database.snapshot([name], async (transaction) => {
      const records = transaction.objectStore(name);
      const [found, values] = await Promise.all([records.getAllKeys(range, READ_AT_ONCE), records.getAll(range, READ_AT_ONCE)]);
      return { keys: found as Key[], values: values as LegacyBlob[] };
    });
    const objects = some.values.map((value, i) => legacyObject(name, some.keys[i] as Key, value));
    await session.write(objects);
    for (const object of objects) bytes += object.bytes.length;
    keys.push(...some.keys);
    after = some.keys.at(-1);
    if (some.keys.length < READ_AT_ONCE) break;
  }
  if (keys.length === 0) return 0;
  await session.commit([name, "meta"], async (transaction: WriteTransaction) => {
    const records = transaction.objectStore(name);
    await Promise.all(keys.map((key) => records.delete(key as Uint8Array<ArrayBuffer>)));
    // Another tab that has finished its upgrade may be collecting objects that these ones rely on.
    await increment(transaction, "roots");
  });
  return keys.length;
}

function legacyObject(name: LegacyStore, key: Key, value: LegacyBlob): NewObject {
  // IndexedDB returns a binary key as an ArrayBuffer, even if it was stored as a view.
  const digest = asDigest(key instanceof Uint8Array ? key : new Uint8Array(key));
  if (name !== "blobs") return { kind: name === "chunks" ? CHUNK : DIRECTORY, digest, bytes: value as Uint8Array };
  const { chunks, bao } = value instanceof Uint8Array ? { chunks: value, bao: undefined } : value;
  return { kind: BLOB, digest, bytes: encodeBlob({ chunks: decodeChunkList(chunks, digest), bao }) };
}
