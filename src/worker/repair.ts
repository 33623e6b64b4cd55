import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { OperationOptions } from "../progress.ts";
import type { DamagedObject, RepairReport } from "../thread/maintenance-api.ts";
import { increment, type PackRecord, type WriteTransaction } from "./database.ts";
import { changeRecords } from "./index-records.ts";
import { describeObject, entryBatches, isWholeBlob, matchDigests } from "./object-check.ts";
import { BLOB, CHUNK, DIRECTORY } from "./object-table.ts";
import { ReadOnlyObjects } from "./object-view.ts";
import { EntryWriter, readEntries } from "./pack-entries.ts";
import { type DescribedPack, describePack } from "./pack-trailer.ts";
import type { IndexRecord } from "./packed-index.ts";
import { PackedChunkStore } from "./packed-services.ts";
import type { PackedStore } from "./packed-store.ts";
import { RepairView } from "./repair-view.ts";
import { lostPathInfos, putLostPathInfo } from "./repaired-paths.ts";
import { ownIds, sparePacks } from "./spare-packs.ts";

/** A pack that will get an index record. */
export interface RepairedPack {
  /** Index record of its objects. `alive` is false, so only the repair sees the objects. */
  readonly record: IndexRecord;
  readonly described: DescribedPack;
  /** Whether a lost store wrote the pack, so that its path infos are lost too. */
  readonly isForeign: boolean;
}

/**
 * Rebuilds index records from the packs, after the browser lost the database, or after records were
 * lost or damaged. Checks each object against its digest. Adds an object to the index only if its
 * content is complete, because sessions rely on the content of every object in the index. If the
 * database was lost, restores the path infos in the packs too. No session can write during the
 * repair. Everything happens in one transaction at the end, so an abort changes nothing. Progress:
 * `repairing`, in bytes of the objects.
 *
 * @throws StoreError `unavailable` if the browser has no Web Locks
 */
export async function repairIndex(store: PackedStore, engine: HashEngine, options: OperationOptions = {}): Promise<RepairReport> {
  const { signal } = options;
  const work = (): Promise<RepairReport> => store.holding(() => new Repair(store, engine, options).run());
  const report = await store.locks.collecting(signal, () => store.locks.withoutWriters(signal, work));
  await store.sweep();
  return report;
}

class Repair {
  readonly #store: PackedStore;
  readonly #engine: HashEngine;
  readonly #options: OperationOptions;
  readonly #view: RepairView;
  readonly #packs: RepairedPack[] = [];
  /** Keys of damaged records that the transaction removes. */
  readonly #removed: string[] = [];
  readonly #damaged: DamagedObject[] = [];
  /** Whether all packs could be read. */
  #sawAll = true;
  #loaded = 0;
  #total = 0;

  constructor(store: PackedStore, engine: HashEngine, options: OperationOptions) {
    this.#store = store;
    this.#engine = engine;
    this.#options = options;
    this.#view = new RepairView(store);
  }

  async run(): Promise<RepairReport> {
    await this.#store.refresh();
    const own = await ownIds(this.#store);
    const first = this.#store.table.count;
    await this.#findPacks(own);
    await this.#check(first);
    const { found, incomplete } = await lostPathInfos(this.#store, this.#view, this.#packs);
    this.#options.signal?.throwIfAborted();
    const storePaths: string[] = [];
    const repaired = this.#packs.filter(({ record, described }) => record.count > 0 || described.trailer.pathInfos.length > 0);
    await this.#store.database.write(["packs", "meta", "pathInfos"], "strict", async (transaction) => {
      await changeRecords(transaction, this.#records(repaired, first), this.#removed);
      for (const info of found) if (await putLostPathInfo(transaction, info)) storePaths.push(info.storePath);
      await increment(transaction, "roots");
      if (this.#sawAll) await this.#settle(transaction, own);
    });
    await this.#store.refresh();
    return {
      packs: repaired.length,
      objects: repaired.reduce((sum, { record }) => sum + record.count, 0),
      bytes: repaired.reduce((sum, { record }) => sum + record.bytes, 0),
      damaged: this.#damaged,
      storePaths: storePaths.sort(),
      incomplete,
    };
  }

  async #findPacks(own: ReadonlySet<string>): Promise<void> {
    for await (const { id, storage, state } of sparePacks(this.#store)) {
      this.#options.signal?.throwIfAborted();
      if (state === "in use") this.#sawAll = false;
      if (state === "lost") await this.#addPack(id, storage, own);
    }
    for (const record of [...this.#store.records]) {
      if (!record.damaged) continue;
      const isThere = await this.#isThere(record);
      // A record without a pack, or of a pack that can be read without it, is of no use.
      if (!isThere || (await this.#addPack(record.pack, record.storage, own))) this.#removed.push(record.key);
    }
    for (const { storage } of this.#store.records) if (!this.#store.packs[storage]) this.#sawAll = false;
  }

  async #isThere({ pack, storage }: IndexRecord): Promise<boolean> {
    return (await this.#store.packStore({ storage }).missing([pack])).length === 0;
  }

  /** Adds the objects of a pack to the table. @returns false if the pack is not complete */
  async #addPack(pack: string, storage: IndexRecord["storage"], own: ReadonlySet<string>): Promise<boolean> {
    const described = await this.#describe(pack, storage);
    if (!described) return false;
    const { header, trailer, size } = described;
    const record: IndexRecord = {
      alive: false,
      key: crypto.randomUUID(),
      pack,
      storage,
      size,
      trailer: trailer.length,
      count: 0,
      bytes: 0,
    };
    readEntries("the trailer of a pack", { entries: trailer.entries, size }, (digest, kind, offset, length) => {
      this.#store.table.add(digest, kind, record, offset, length);
      this.#total += length;
    });
    this.#view.add(record);
    this.#packs.push({ record, described, isForeign: !own.has(header.store) });
    return true;
  }

  async #describe(pack: string, storage: IndexRecord["storage"]): Promise<DescribedPack | undefined> {
    try {
      return await describePack(this.#store.packStore({ storage }), pack);
    } catch (error) {
      if (isStoreError(error, "corrupt")) return undefined;
      throw error;
    }
  }

  /** Finds the objects that match their digests and have all of their content. */
  async #check(first: number): Promise<void> {
    const { table } = this.#store;
    for (const batch of entryBatches(this.#store, this.#entries(first, [CHUNK, DIRECTORY]))) {
      this.#options.signal?.throwIfAborted();
      const matches = await matchDigests(this.#store, this.#engine, batch);
      for (const [i, entry] of batch.entries()) {
        if (matches[i]) this.#view.markIntact(entry);
        if (matches[i] && table.location(entry).kind === CHUNK) this.#view.markWhole(entry);
        this.#count(entry, matches[i] === true);
      }
    }
    const blobs = new ChunkedBlobService(new PackedChunkStore(new ReadOnlyObjects(this.#view)), this.#engine);
    for (const entry of this.#entries(first, [BLOB])) {
      this.#options.signal?.throwIfAborted();
      this.#view.showBlob(entry);
      const isWhole = await isWholeBlob(blobs, table.digest(entry), this.#options.signal);
      if (isWhole) this.#view.markWhole(entry);
      this.#count(entry, isWhole);
    }
    for (const entry of this.#entries(first, [DIRECTORY])) {
      this.#options.signal?.throwIfAborted();
      if (this.#view.isIntact(entry) && !(await this.#view.checkDirectory(entry)))
        this.#damaged.push(describeObject(DIRECTORY, table.digest(entry)));
    }
    for (const entry of this.#entries(first, [CHUNK, DIRECTORY, BLOB])) {
      if (!this.#view.isWhole(entry)) continue;
      const { record, length } = table.location(entry);
      record.count++;
      record.bytes += length;
    }
  }

  /** Yields the table's entries for the objects of the found packs, in the order of the table. */
  *#entries(first: number, kinds: readonly number[]): Generator<number> {
    const { table } = this.#store;
    for (let entry = first; entry < table.count; entry++) {
      const { record, kind } = table.location(entry);
      if (this.#view.covers(record) && kinds.includes(kind)) yield entry;
    }
  }

  #count(entry: number, isGood: boolean): void {
    const { table } = this.#store;
    const { kind, length } = table.location(entry);
    this.#loaded += length;
    this.#options.onProgress?.({ phase: "repairing", unit: "bytes", loaded: this.#loaded, total: this.#total });
    if (!isGood) this.#damaged.push(describeObject(kind, table.digest(entry)));
  }

  /** Yields the new index records, one at a time. */
  *#records(packs: readonly RepairedPack[], first: number): Generator<[key: string, record: PackRecord]> {
    const { table } = this.#store;
    let entry = first;
    for (const { record } of packs) {
      const { key, pack, storage, size, trailer, count } = record;
      const entries = new EntryWriter(count);
      for (let found = 0; found < count; entry++) {
        const location = table.location(entry);
        if (location.record !== record || !this.#view.isWhole(entry)) continue;
        entries.add({ digest: table.digest(entry), ...location });
        found++;
      }
      yield [key, { pack, storage, size, trailer, entries: entries.bytes }];
    }
  }

  /**
   * Records in `meta` that no pack is lost any more: sets `records` to the number of records, and
   * adds the lost stores to `adopted`. From then on, a pack of these stores without a record is
   * garbage.
   */
  async #settle(transaction: WriteTransaction, own: ReadonlySet<string>): Promise<void> {
    const meta = transaction.objectStore("meta");
    await meta.put(await transaction.objectStore("packs").count(), "records");
    const id = await meta.get("id");
    const adopted = new Set([...own, ...this.#packs.map(({ described }) => described.header.store)]);
    adopted.delete(String(id));
    await meta.put([...adopted], "adopted");
  }
}
