import { equalBytes } from "../bytes.ts";
import { type Digest, digestOf, formatDigest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { decodeDirectory } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import type { GarbageReport } from "../thread/store-api.ts";
import { decodeBlob } from "./blob-object.ts";
import { increment, type PackRecord, toCount } from "./database.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "./object-table.ts";
import { EntryWriter } from "./pack-entries.ts";
import type { IndexRecord, PackedStore } from "./packed-store.ts";
import { PackGone } from "./storage-error.ts";
import { WriteSession } from "./write-session.ts";

/** A pack of which less than this part is alive is rewritten; so are packs smaller than this, if there are several. */
const MIN_LIVE = 0.7;
const SMALL_PACK = 4 * 1024 * 1024;
const MANY_SMALL_PACKS = 8;
/** Bytes that are copied at a time while packs are rewritten. */
const COPIED_AT_ONCE = 4 * 1024 * 1024;
/** Path infos that are read at a time. */
const BATCH = 256;

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
      await store.refresh();
      const marks = new Marks(store);
      const records = [...store.records];
      const report = await forget(store, marks, records, options);
      // First, as rewriting takes room.
      await store.sweep();
      await rewrite(store, options);
      return report;
    });
    await store.sweep();
    return report;
  });
}

/** Which entries are alive. */
class Marks {
  readonly #store: PackedStore;
  #bits: Uint8Array;

  constructor(store: PackedStore) {
    this.#store = store;
    this.#bits = new Uint8Array(store.table.count >> 3);
  }

  has(entry: number): boolean {
    return (((this.#bits[entry >> 3] ?? 0) >> (entry & 7)) & 1) === 1;
  }

  /** Marks what all path infos and pins refer to, as far as it isn't marked yet. @returns the count of roots that this is right for */
  async markRoots(options: OperationOptions): Promise<number> {
    const { database } = this.#store;
    const count = await this.#store.count("roots");
    for (const { node } of await database.read("pins", (store) => store.getAll())) await this.#mark(node, options.signal);
    let marked = 0;
    for (let after: string | undefined; ; ) {
      const range = after === undefined ? undefined : IDBKeyRange.lowerBound(after, true);
      const batch = await database.snapshot(["pathInfos"], async (transaction) => {
        const infos = transaction.objectStore("pathInfos");
        const [keys, values] = await Promise.all([infos.getAllKeys(range, BATCH), infos.getAll(range, BATCH)]);
        return { keys, values };
      });
      for (const { node } of batch.values) {
        await this.#mark(node, options.signal);
        options.onProgress?.({ phase: "marking", loaded: ++marked });
      }
      if (batch.keys.length < BATCH) return count;
      after = batch.keys.at(-1);
    }
  }

  async #mark(root: Node, signal: AbortSignal | undefined): Promise<void> {
    if (root.kind === "symlink") return;
    if (root.kind === "file") return this.#markBlobs([root.digest]);
    const directories: Digest[] = [];
    if (this.#markOne(DIRECTORY, root.digest)) directories.push(root.digest);
    while (directories.length > 0) {
      signal?.throwIfAborted();
      const some = directories.splice(-BATCH);
      const found = await this.#store.read(DIRECTORY, some);
      const blobs: Digest[] = [];
      for (const [i, bytes] of found.entries()) {
        for (const { node } of whole(some[i] as Digest, bytes)) {
          if (node.kind === "file") blobs.push(node.digest);
          else if (node.kind === "directory" && this.#markOne(DIRECTORY, node.digest)) directories.push(node.digest);
        }
      }
      await this.#markBlobs(blobs);
    }
  }

  async #markBlobs(blobs: readonly Digest[]): Promise<void> {
    const long = blobs.filter((digest) => {
      this.#markOne(CHUNK, digest);
      return this.#markOne(BLOB, digest);
    });
    for (let i = 0; i < long.length; i += BATCH) {
      const some = long.slice(i, i + BATCH);
      for (const [j, bytes] of (await this.#store.read(BLOB, some)).entries()) {
        if (!bytes) continue;
        for (const chunk of decodeBlob(bytes, some[j] as Digest).chunks) this.#markOne(CHUNK, chunk.digest);
      }
    }
  }

  /** Whether it was not marked yet. Of an object that is in several packs, only the first one stays. */
  #markOne(kind: ObjectKind, digest: Digest): boolean {
    const entry = this.#store.table.find(digest, kind);
    if (entry === NONE) {
      if (kind === DIRECTORY) throw notWhole(digest);
      return false;
    }
    if (this.has(entry)) return false;
    if (entry >> 3 >= this.#bits.length) {
      const grown = new Uint8Array(2 * (entry >> 3) + 1024);
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[entry >> 3] = (this.#bits[entry >> 3] as number) | (1 << (entry & 7));
    return true;
  }
}

/** A directory's entries. Where one can't be read, what it refers to can't be told from garbage. */
function whole(digest: Digest, bytes: Uint8Array | undefined): readonly DirectoryEntry[] {
  if (!bytes || !equalBytes(digestOf(bytes), digest)) throw notWhole(digest);
  return decodeDirectory(bytes).entries;
}

function notWhole(digest: Digest): StoreError {
  return new StoreError(
    "corrupt",
    `directory ${formatDigest(digest)} is missing or damaged, so garbage can't be told from what it refers to; nothing was deleted (verify the store first)`,
  );
}

/** Takes dead objects out of the index. */
async function forget(
  store: PackedStore,
  marks: Marks,
  records: readonly IndexRecord[],
  options: OperationOptions,
): Promise<GarbageReport> {
  for (;;) {
    const roots = await marks.markRoots(options);
    options.signal?.throwIfAborted();
    const trimmed = trim(store, marks, records);
    const replaced = [...trimmed.keys()];
    if (replaced.length === 0) return { objects: 0, bytes: 0 };
    const done = await store.database.write(["packs", "meta", "pathInfos", "pins"], "strict", async (transaction) => {
      // An import may have published something since, and have relied on what we take for dead.
      if (toCount(await transaction.objectStore("meta").get("roots")) !== roots) return false;
      const packs = transaction.objectStore("packs");
      for (const [record, { key, entries, live }] of trimmed) {
        await packs.delete(record.key);
        const { pack, storage, size } = record;
        if (live > 0) await packs.put({ pack, storage, size, entries: entries.bytes } satisfies PackRecord, key);
      }
      await increment(transaction, "generation");
      return true;
    });
    if (!done) continue;
    const before = count(replaced);
    await store.refresh();
    const after = [...trimmed.values()].reduce(
      (sum, { live, liveBytes }) => ({ objects: sum.objects + live, bytes: sum.bytes + liveBytes }),
      {
        objects: 0,
        bytes: 0,
      },
    );
    return { objects: before.objects - after.objects, bytes: before.bytes - after.bytes };
  }
}

function count(records: readonly IndexRecord[]): GarbageReport {
  return records.reduce((sum, { count, bytes }) => ({ objects: sum.objects + count, bytes: sum.bytes + bytes }), {
    objects: 0,
    bytes: 0,
  });
}

interface Trimmed {
  readonly key: string;
  readonly entries: EntryWriter;
  readonly live: number;
  readonly liveBytes: number;
}

/** What becomes of the records that have dead objects. */
function trim(store: PackedStore, marks: Marks, records: readonly IndexRecord[]): Map<IndexRecord, Trimmed> {
  const { table } = store;
  const live = new Map(records.map((record) => [record, { count: 0, bytes: 0 }]));
  const each = (visit: (entry: number, record: IndexRecord, length: number) => void): void => {
    for (let entry = 0; entry < table.count; entry++) {
      const { record, length } = table.location(entry);
      if (record.alive && marks.has(entry)) visit(entry, record, length);
    }
  };
  each((_, record, length) => {
    const counted = live.get(record);
    if (!counted) return;
    counted.count++;
    counted.bytes += length;
  });
  const trimmed = new Map<IndexRecord, Trimmed>();
  for (const [record, { count, bytes }] of live) {
    // A record that could not be read whole is left for `verify`.
    if (count === record.count || record.damaged) continue;
    trimmed.set(record, { key: crypto.randomUUID(), entries: new EntryWriter(count), live: count, liveBytes: bytes });
  }
  each((entry, record) => {
    trimmed.get(record)?.entries.add({ digest: table.digest(entry), ...table.location(entry) });
  });
  return trimmed;
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
      await session.commit([], async () => {});
    } finally {
      await session.close();
    }
  });
}
