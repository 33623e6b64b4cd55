import type { Digest } from "../castore/digest.ts";
import { isStoreError, StoreError } from "../error.ts";
import { type MetaKey, type PackRecord, type StoreDatabase, toCount } from "./database.ts";
import { BLOB, CHUNK, NONE, type ObjectKind, type ObjectLocation, ObjectTable, type TableRecord } from "./object-table.ts";
import type { ObjectView } from "./object-view.ts";
import { readEntries } from "./pack-entries.ts";
import type { PackStore } from "./pack-store.ts";
import { PackGone } from "./storage-error.ts";
import type { StoreLocks } from "./store-locks.ts";

/**
 * An index record in memory. While a session writes a pack, the pack has such a record too,
 * although the database does not have it yet.
 */
export interface IndexRecord extends TableRecord {
  /** Key of the record in the database. */
  readonly key: string;
  readonly pack: string;
  readonly storage: PackRecord["storage"];
  /** Bytes of the pack. */
  size: number;
  /** Number of objects, and sum of their bytes. */
  count: number;
  bytes: number;
  /** Session that writes the pack, until the commit. */
  writer?: object | undefined;
  /** Whether some entries could not be read. */
  damaged?: boolean;
}

export type PackStores = { readonly indexeddb: PackStore; readonly opfs?: PackStore | undefined };

/** Number of records that are read at a time. */
const LOADED_AT_ONCE = 8;
/** Maximum number of retries of a read whose packs were rewritten meanwhile. */
const RETRIES = 3;

/**
 * Read access to the committed objects in packs. All tabs see the same objects. If an object or its
 * pack is missing here, the store looks up in the database what another tab has committed or
 * rewritten.
 */
export class PackedStore implements ObjectView {
  readonly database: StoreDatabase;
  readonly locks: StoreLocks;
  readonly packs: PackStores;
  /** Storage for new packs. */
  readonly storage: PackRecord["storage"];
  #table = new ObjectTable<IndexRecord>();
  readonly #records = new Map<string, IndexRecord>();
  readonly #dropListeners = new Set<(record: IndexRecord) => void>();
  #generation = -1;
  /** The refresh that is running, and the one after it. */
  #loading: Promise<boolean> | undefined;
  #nextLoad: Promise<boolean> | undefined;
  /** Whether there may be packs that no record refers to. */
  #sweepWanted = false;
  /** Number of callers that need entries to keep their numbers. */
  #holders = 0;

  constructor(database: StoreDatabase, locks: StoreLocks, packs: PackStores, storage: PackRecord["storage"]) {
    this.database = database;
    this.locks = locks;
    this.packs = packs;
    this.storage = storage;
    // The tab that deletes a store needs exclusive access to its files.
    database.ended.addEventListener("abort", () => this.close(), { once: true });
  }

  /**
   * The table of all objects. Outside of `holding`, it may be replaced by one with other entry
   * numbers.
   */
  get table(): ObjectTable<IndexRecord> {
    return this.#table;
  }

  /** All records that are alive. */
  get records(): Iterable<IndexRecord> {
    return this.#records.values();
  }

  record(key: string): IndexRecord | undefined {
    return this.#records.get(key);
  }

  /** Runs `work`. Entries keep their numbers until it ends. */
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
        // Another tab may have rewritten the pack. Another read may have noticed that already.
        if ((await this.refresh()) || this.#generation !== generation) continue;
        // Other packs may hold the same objects.
        if (!(await this.#noteMissing(error.pack))) throw error;
      }
    }
  }

  /**
   * Finds objects. If one is missing, first refreshes the index. Returns locations, not entries,
   * because entries may have other numbers by the time the caller continues.
   */
  async #find(kind: ObjectKind, digests: readonly Digest[]): Promise<(ObjectLocation<IndexRecord> | undefined)[]> {
    const locations = (): (ObjectLocation<IndexRecord> | undefined)[] =>
      digests.map((digest) => {
        const entry = this.#table.find(digest, kind);
        return entry === NONE ? undefined : this.#table.location(entry);
      });
    const found = locations();
    // Most blobs are one chunk and have no chunk list, so a missing list needs no refresh.
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
    if (!store) throw new StoreError("unavailable", "a part of this store is in OPFS, which this browser does not offer now");
    return store;
  }

  /**
   * Loads all changes that were committed before the call, by other tabs or through `database`
   * alone.
   *
   * @returns false if there were none
   */
  refresh(): Promise<boolean> {
    const current = this.#loading;
    if (!current) {
      this.#loading = this.#load().finally(() => {
        this.#loading = undefined;
      });
      return this.#loading;
    }
    // The running load may have read the database before the change that the caller knows of.
    this.#nextLoad ??= (async () => {
      const changed = await current.catch(() => false);
      this.#nextLoad = undefined;
      return (await this.refresh()) || changed;
    })();
    return this.#nextLoad;
  }

  /**
   * Marks a pack as missing or cut short. The first time, also checks all other packs: if one is
   * missing, the browser may have cleared all of them.
   *
   * @returns whether the pack was not marked before
   */
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
   * Counts packs that index records refer to but that do not exist. From then on, no session relies
   * on objects in these packs, so imports write those objects again.
   */
  async missingPacks(): Promise<number> {
    const there = new Set<string>();
    for (const store of [this.packs.indexeddb, this.packs.opfs]) for (const id of (await store?.list()) ?? []) there.add(id);
    const missing = new Set<string>();
    for (const record of this.#records.values()) {
      // A pack without bytes holds only the empty directory. It may have no file.
      if (record.size === 0 || !this.packs[record.storage] || there.has(record.pack)) continue;
      record.missing = true;
      missing.add(record.pack);
    }
    return missing.size;
  }

  /** Makes a record visible after its commit. */
  adopt(record: IndexRecord): void {
    record.alive = true;
    record.writer = undefined;
    this.#records.set(record.key, record);
  }

  /**
   * Calls `listener` with each record that is removed from now on.
   *
   * @returns a function that stops this
   */
  onDrop(listener: (record: IndexRecord) => void): () => void {
    this.#dropListeners.add(listener);
    return () => this.#dropListeners.delete(listener);
  }

  /** Removes a record that is no longer in the database. */
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
   * Deletes packs that no record refers to: those of aborted and killed writers, and those that
   * were rewritten. Does nothing if anybody is writing, in any tab.
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

  /** Notes that a sweep may find something. */
  wantSweep(): void {
    this.#sweepWanted = true;
  }

  /**
   * Sweeps in the background if a sweep may find something, for example because another tab could
   * not sweep while this one wrote.
   */
  sweepLater(): void {
    const sweeping = this.refresh().then(async () => {
      if (this.#sweepWanted) await this.sweep();
    });
    sweeping.catch(() => {});
  }

  /** Reads a counter of `meta` from the database. */
  async count(key: MetaKey): Promise<number> {
    return toCount(await this.database.read("meta", (store) => store.get(key)));
  }

  close(): void {
    this.packs.indexeddb.close();
    this.packs.opfs?.close();
  }

  async #load(): Promise<boolean> {
    // Records that are committed here during the load may not be in its result. They must not be
    // dropped.
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
      // A record that is gone by now was replaced. The next refresh finds its replacement.
      for (const [j, value] of values.entries()) if (value) this.#add(some[j] as string, value);
    }
    const there = new Set(keys);
    for (const key of known) if (!there.has(key)) this.drop(key);
    this.#generation = generation;
    if (this.#holders === 0) this.#compact();
    return true;
  }

  #add(key: string, value: PackRecord): void {
    // A commit in this tab may have added it meanwhile.
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
      // The rest of the store still works. `verify` reports the missing objects.
      record.damaged = true;
    }
    this.#records.set(key, record);
  }

  /** Replaces the table if more than half of its entries belong to dead records. */
  #compact(): void {
    let living = 0;
    for (const { count } of this.#records.values()) living += count;
    if (this.#table.count > 2 * living + 1024) this.#table = this.#table.compacted();
  }
}
