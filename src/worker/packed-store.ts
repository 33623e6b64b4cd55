import type { Digest } from "../castore/digest.ts";
import { isStoreError, StoreError } from "../error.ts";
import { type MetaKey, type PackRecord, type StoreDatabase, toCount } from "./database.ts";
import { BLOB, CHUNK, NONE, type ObjectKind, type ObjectLocation, ObjectTable, type TableRecord } from "./object-table.ts";
import type { ObjectView } from "./object-view.ts";
import { readEntries } from "./pack-entries.ts";
import type { PackStore } from "./pack-store.ts";
import { PackGone } from "./storage-error.ts";
import type { StoreLocks } from "./store-locks.ts";

/** An index record in memory; of those that nobody wrote yet, the pack of a session. */
export interface IndexRecord extends TableRecord {
  /** In the database. */
  readonly key: string;
  readonly pack: string;
  readonly storage: PackRecord["storage"];
  /** Of the pack. */
  size: number;
  /** Objects and their bytes. */
  count: number;
  bytes: number;
  /** Who writes it, until it is committed. */
  writer?: object | undefined;
  /** Entries of it could not be read. */
  damaged?: boolean;
}

export type PackStores = { readonly indexeddb: PackStore; readonly opfs?: PackStore | undefined };

/** Records that are read at a time. */
const LOADED_AT_ONCE = 8;
/** How often a read is tried again because packs were rewritten under it. */
const RETRIES = 3;

/**
 * Objects in packs: what is committed, for reading. All tabs see the same one: what another one commits or rewrites is found when an object is
 * missing here, or when its pack is gone.
 */
export class PackedStore implements ObjectView {
  readonly database: StoreDatabase;
  readonly locks: StoreLocks;
  readonly packs: PackStores;
  /** Where new packs go. */
  readonly storage: PackRecord["storage"];
  #table = new ObjectTable<IndexRecord>();
  readonly #records = new Map<string, IndexRecord>();
  readonly #dropListeners = new Set<(record: IndexRecord) => void>();
  #generation = -1;
  /** The look into the database that is under way, and the one after it. */
  #loading: Promise<boolean> | undefined;
  #nextLoad: Promise<boolean> | undefined;
  /** Packs may be left that nobody refers to. */
  #sweepWanted = false;
  /** Who needs that entries keep their numbers. */
  #holders = 0;

  constructor(database: StoreDatabase, locks: StoreLocks, packs: PackStores, storage: PackRecord["storage"]) {
    this.database = database;
    this.locks = locks;
    this.packs = packs;
    this.storage = storage;
    // Who deletes a store needs its files for himself.
    database.ended.addEventListener("abort", () => this.close(), { once: true });
  }

  /** The table changes under those who don't hold it. */
  get table(): ObjectTable<IndexRecord> {
    return this.#table;
  }

  /** All that are alive. */
  get records(): Iterable<IndexRecord> {
    return this.#records.values();
  }

  record(key: string): IndexRecord | undefined {
    return this.#records.get(key);
  }

  /** Runs `work` while entries keep their numbers. */
  async holding<T>(work: () => Promise<T>): Promise<T> {
    this.#holders++;
    try {
      return await work();
    } finally {
      this.#holders--;
      if (this.#holders === 0) this.#compact();
    }
  }

  async has(kind: ObjectKind, digests: readonly Digest[]): Promise<boolean[]> {
    return (await this.#find(kind, digests)).map((location) => location !== undefined);
  }

  async read(kind: ObjectKind, digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    for (let tries = 1; ; tries++) {
      const generation = this.#generation;
      const locations = await this.#find(kind, digests);
      try {
        return await this.readLocations(locations);
      } catch (error) {
        if (!(error instanceof PackGone) || tries > RETRIES) throw error;
        // Another tab may have rewritten the pack, and another read may have found that out before.
        if ((await this.refresh()) || this.#generation !== generation) continue;
        // The same objects may lie in other packs, too.
        if (!(await this.#noteMissing(error.pack))) throw error;
      }
    }
  }

  /** Looks into the database for what is missing here. Not entries: they may have other numbers by the time the caller goes on. */
  async #find(kind: ObjectKind, digests: readonly Digest[]): Promise<(ObjectLocation<IndexRecord> | undefined)[]> {
    const locations = (): (ObjectLocation<IndexRecord> | undefined)[] =>
      digests.map((digest) => {
        const entry = this.#table.find(digest, kind);
        return entry === NONE ? undefined : this.#table.location(entry);
      });
    const found = locations();
    // Most blobs are one chunk: that nothing more is known of them is nothing new.
    const isMissing = (location: ObjectLocation<IndexRecord> | undefined, i: number): boolean =>
      !location && (kind !== BLOB || this.#table.find(digests[i] as Digest, CHUNK) === NONE);
    return found.some(isMissing) && (await this.refresh()) ? locations() : found;
  }

  async readLocations(locations: readonly (ObjectLocation<IndexRecord> | undefined)[]): Promise<(Uint8Array | undefined)[]> {
    const packs = new Map<string, { store: PackStore; ranges: { offset: number; length: number }[]; places: number[] }>();
    for (const [place, location] of locations.entries()) {
      if (!location) continue;
      const { record, offset, length } = location;
      let pack = packs.get(record.pack);
      if (!pack) {
        pack = { store: this.packStore(record), ranges: [], places: [] };
        packs.set(record.pack, pack);
      }
      pack.ranges.push({ offset, length });
      pack.places.push(place);
    }
    const answer = new Array<Uint8Array | undefined>(locations.length).fill(undefined);
    for (const [id, { store, ranges, places }] of packs) {
      const found = await store.read(id, ranges);
      for (const [i, place] of places.entries()) answer[place] = found[i];
    }
    return answer;
  }

  packStore({ storage }: Pick<PackRecord, "storage">): PackStore {
    this.database.ended.throwIfAborted();
    const store = this.packs[storage];
    if (!store) throw new StoreError("unavailable", "a part of this store is in OPFS, which this browser does not give us now");
    return store;
  }

  /**
   * Takes in what other tabs changed, or what was changed by `database` alone: all that was committed before the call. False if there
   * was nothing.
   */
  refresh(): Promise<boolean> {
    const current = this.#loading;
    if (!current) {
      this.#loading = this.#load().finally(() => {
        this.#loading = undefined;
      });
      return this.#loading;
    }
    // It may have looked before what the caller knows of.
    this.#nextLoad ??= (async () => {
      const changed = await current.catch(() => false);
      this.#nextLoad = undefined;
      return (await this.refresh()) || changed;
    })();
    return this.#nextLoad;
  }

  /** A pack is missing, or cut short. Where one is missing, the browser may have cleared all. @returns whether that is news */
  async #noteMissing(pack: string): Promise<boolean> {
    let isNews = false;
    for (const record of this.#records.values()) {
      if (record.pack !== pack || record.missing) continue;
      record.missing = true;
      isNews = true;
    }
    if (isNews) await this.missingPacks();
    return isNews;
  }

  /**
   * How many packs that index records refer to are not there. From here on nothing that is written relies on objects in them, so that it
   * is written anew.
   */
  async missingPacks(): Promise<number> {
    const there = new Set<string>();
    for (const store of [this.packs.indexeddb, this.packs.opfs]) for (const id of (await store?.list()) ?? []) there.add(id);
    const missing = new Set<string>();
    for (const record of this.#records.values()) {
      // Of a pack without bytes, which holds the empty directory, there need not be anything.
      if (record.size === 0 || !this.packs[record.storage] || there.has(record.pack)) continue;
      record.missing = true;
      missing.add(record.pack);
    }
    return missing.size;
  }

  /** Makes a record visible that was just committed. */
  adopt(record: IndexRecord): void {
    record.alive = true;
    record.writer = undefined;
    this.#records.set(record.key, record);
  }

  /** Calls `listener` with each record that is taken away from now on. @returns ends that */
  onDrop(listener: (record: IndexRecord) => void): () => void {
    this.#dropListeners.add(listener);
    return () => this.#dropListeners.delete(listener);
  }

  /** Takes away a record that is not in the database any more. */
  drop(key: string): void {
    const record = this.#records.get(key);
    if (!record) return;
    record.alive = false;
    for (const listener of this.#dropListeners) listener(record);
    this.#records.delete(key);
    this.#sweepWanted = true;
    this.packs[record.storage]?.release(record.pack);
  }

  /**
   * Deletes packs that no record refers to: of aborted and killed writers, and of those that were rewritten. Only while nobody writes,
   * in any tab; otherwise it does nothing.
   */
  async sweep(): Promise<void> {
    this.#sweepWanted = true;
    await this.locks.ifNobodyWrites(async () => {
      let isClean = true;
      const used = new Set<string>();
      await this.refresh();
      for (const { pack } of this.#records.values()) used.add(pack);
      for (const store of [this.packs.indexeddb, this.packs.opfs]) {
        for (const id of (await store?.list()) ?? []) if (!used.has(id)) isClean = (await store?.delete(id)) === true && isClean;
      }
      this.#sweepWanted = !isClean;
    });
  }

  /** Says that a sweep may find something. */
  wantSweep(): void {
    this.#sweepWanted = true;
  }

  /** Sweeps if it may find something, also because another tab could not while we wrote. Nobody waits for it. */
  sweepLater(): void {
    const sweeping = this.refresh().then(async () => {
      if (this.#sweepWanted) await this.sweep();
    });
    sweeping.catch(() => {});
  }

  /** Counters as they were at one moment. */
  async count(key: MetaKey): Promise<number> {
    return toCount(await this.database.read("meta", (store) => store.get(key)));
  }

  close(): void {
    this.packs.indexeddb.close();
    this.packs.opfs?.close();
  }

  async #load(): Promise<boolean> {
    // What is committed here from now on, the database may not have said yet.
    const known = [...this.#records.keys()];
    const { generation, keys } = await this.database.snapshot(["meta", "packs"], async (transaction) => {
      const generation = toCount(await transaction.objectStore("meta").get("generation"));
      if (generation === this.#generation) return { generation, keys: [] };
      return { generation, keys: await transaction.objectStore("packs").getAllKeys() };
    });
    if (generation === this.#generation) return false;
    const unknown = keys.filter((key) => !this.#records.has(key));
    for (let i = 0; i < unknown.length; i += LOADED_AT_ONCE) {
      const some = unknown.slice(i, i + LOADED_AT_ONCE);
      const values = await this.database.read("packs", (store) => Promise.all(some.map((key) => store.get(key))));
      // One that is gone meanwhile was replaced, which the next refresh finds.
      for (const [j, value] of values.entries()) if (value) this.#add(some[j] as string, value);
    }
    const there = new Set(keys);
    for (const key of known) if (!there.has(key)) this.drop(key);
    this.#generation = generation;
    if (this.#holders === 0) this.#compact();
    return true;
  }

  #add(key: string, value: PackRecord): void {
    // Its own commit may have been quicker.
    if (this.#records.has(key)) return;
    const record: IndexRecord = {
      alive: true,
      key,
      pack: String(value.pack),
      storage: value.storage === "opfs" ? "opfs" : "indexeddb",
      size: Number.isSafeInteger(value.size) ? value.size : 0,
      count: 0,
      bytes: 0,
    };
    try {
      readEntries(key, value, (digest, kind, offset, length) => {
        this.#table.add(digest, kind, record, offset, length);
        record.count++;
        record.bytes += length;
      });
    } catch (error) {
      if (!isStoreError(error, "corrupt")) throw error;
      // The rest of the store is as good as before; what is missing now, `verify` tells.
      record.damaged = true;
    }
    this.#records.set(key, record);
  }

  /** Once more than half of the table are entries of dead records. */
  #compact(): void {
    let living = 0;
    for (const { count } of this.#records.values()) living += count;
    if (this.#table.count > 2 * living + 1024) this.#table = this.#table.compacted();
  }
}
