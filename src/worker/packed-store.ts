import type { Digest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import { type MetaKey, type PackRecord, type StoreDatabase, toCount } from "./database.ts";
import { BLOB, CHUNK, NONE, type ObjectKind, type ObjectLocation, type ObjectTable } from "./object-table.ts";
import type { ObjectView } from "./object-view.ts";
import type { PackStore } from "./pack-store.ts";
import { type IndexRecord, PackedIndex } from "./packed-index.ts";
import { sparePacks } from "./spare-packs.ts";
import { PackGone } from "./storage-error.ts";
import type { StoreLocks } from "./store-locks.ts";

export type PackStores = { readonly indexeddb: PackStore; readonly opfs?: PackStore | undefined };

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
  readonly #index: PackedIndex;
  #id: Promise<string> | undefined;
  /** Whether there may be packs that no record refers to. */
  #sweepWanted = false;

  constructor(database: StoreDatabase, locks: StoreLocks, packs: PackStores, storage: PackRecord["storage"]) {
    this.database = database;
    this.locks = locks;
    this.packs = packs;
    this.storage = storage;
    this.#index = new PackedIndex(database, (record) => {
      this.#sweepWanted = true;
      this.packs[record.storage]?.release(record.pack);
    });
    // The tab that deletes a store needs exclusive access to its files.
    database.ended.addEventListener("abort", () => this.close(), { once: true });
  }

  /** See `PackedIndex.table`. */
  get table(): ObjectTable<IndexRecord> {
    return this.#index.table;
  }

  /** All records that are alive. */
  get records(): Iterable<IndexRecord> {
    return this.#index.records;
  }

  record(key: string): IndexRecord | undefined {
    return this.#index.record(key);
  }

  /** Whether index records are lost or damaged. */
  get isIndexDamaged(): boolean {
    return this.#index.isDamaged;
  }

  /** Id of the store (`meta.id`). */
  async id(): Promise<string> {
    this.#id ??= this.database.read("meta", async (meta) => String(await meta.get("id")));
    this.#id.catch(() => {
      this.#id = undefined;
    });
    return this.#id;
  }

  /** Runs `work`. Entries keep their numbers until it ends. */
  holding<T>(work: () => Promise<T>): Promise<T> {
    return this.#index.holding(work);
  }

  /**
   * Loads all changes that were committed before the call, by other tabs or through `database`
   * alone.
   *
   * @returns false if there were none
   */
  refresh(): Promise<boolean> {
    return this.#index.refresh();
  }

  async has(kind: ObjectKind, digests: readonly Digest[]): Promise<boolean[]> {
    return (await this.#find(kind, digests)).map((location) => location !== undefined);
  }

  async read(kind: ObjectKind, digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    for (let tries = 1; ; tries++) {
      const generation = this.#index.generation;
      const locations = await this.#find(kind, digests);
      try {
        return await this.readLocations(locations);
      } catch (error) {
        if (!(error instanceof PackGone) || tries > RETRIES) throw error;
        // Another tab may have rewritten the pack. Another read may have noticed that already.
        if ((await this.refresh()) || this.#index.generation !== generation) continue;
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
        const entry = this.table.find(digest, kind);
        return entry === NONE ? undefined : this.table.location(entry);
      });
    const found = locations();
    // Most blobs are one chunk and have no chunk list, so a missing list needs no refresh.
    const isMissing = (location: ObjectLocation<IndexRecord> | undefined, i: number): boolean =>
      !location && (kind !== BLOB || this.table.find(digests[i] as Digest, CHUNK) === NONE);
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
   * Marks a pack as missing or cut short. The first time, also checks all other packs: if one is
   * missing, the browser may have cleared all of them.
   *
   * @returns whether the pack was not marked before
   */
  async #noteMissing(pack: string): Promise<boolean> {
    let isNews = false;
    for (const record of this.records) {
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
    for (const record of this.records) {
      // A pack without bytes holds only the empty directory. It may have no file.
      if (record.size === 0 || !this.packs[record.storage] || there.has(record.pack)) continue;
      record.missing = true;
      missing.add(record.pack);
    }
    return missing.size;
  }

  /** Makes a record visible after its commit. */
  adopt(record: IndexRecord): void {
    this.#index.adopt(record);
  }

  /**
   * Calls `listener` with each record that is removed from now on.
   *
   * @returns a function that stops this
   */
  onDrop(listener: (record: IndexRecord) => void): () => void {
    return this.#index.onDrop(listener);
  }

  /** Removes a record that is no longer in the database. */
  drop(key: string): void {
    this.#index.drop(key);
  }

  /**
   * Deletes packs that no record refers to: those of aborted and killed writers, and those that
   * were rewritten. Keeps packs of a lost database or of lost index records, because `repairIndex`
   * can add them to the index. Does nothing if anybody is writing, in any tab.
   */
  async sweep(): Promise<void> {
    this.#sweepWanted = true;
    await this.locks.ifNobodyWrites(async () => {
      await this.refresh();
      let isClean = true;
      for await (const { id, storage, state } of sparePacks(this)) {
        if (state === "garbage") isClean = (await this.packs[storage]?.delete(id)) === true && isClean;
        else if (state === "in use") isClean = false;
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
}
