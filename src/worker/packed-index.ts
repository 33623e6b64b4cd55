import { isStoreError } from "../error.ts";
import { type PackRecord, type StoreDatabase, toCount } from "./database.ts";
import { ObjectTable, type TableRecord } from "./object-table.ts";
import { readEntries } from "./pack-entries.ts";

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
  /** Bytes of its trailer; 0 for a pack of version 2, which has no header either. */
  trailer: number;
  /** Number of objects, and sum of their bytes. */
  count: number;
  bytes: number;
  /** Session that writes the pack, until the commit. */
  writer?: object | undefined;
  /** Whether some entries could not be read. */
  damaged?: boolean;
}

/** Number of records that are read at a time. */
const LOADED_AT_ONCE = 8;

/** The index in memory. It has the objects of all index records of the database. */
export class PackedIndex {
  readonly #database: StoreDatabase;
  readonly #onDrop: (record: IndexRecord) => void;
  #table = new ObjectTable<IndexRecord>();
  readonly #records = new Map<string, IndexRecord>();
  readonly #dropListeners = new Set<(record: IndexRecord) => void>();
  #generation = -1;
  #lacksRecords = false;
  /** The refresh that is running, and the one after it. */
  #loading: Promise<boolean> | undefined;
  #nextLoad: Promise<boolean> | undefined;
  /** Number of callers that need entries to keep their numbers. */
  #holders = 0;

  /** @param onDrop called with each record after its removal */
  constructor(database: StoreDatabase, onDrop: (record: IndexRecord) => void) {
    this.#database = database;
    this.#onDrop = onDrop;
  }

  /** The `generation` of the database that was loaded last. */
  get generation(): number {
    return this.#generation;
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

  /** Whether records of the database are lost or damaged. */
  get isDamaged(): boolean {
    if (this.#lacksRecords) return true;
    for (const { damaged } of this.#records.values()) if (damaged) return true;
    return false;
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
    this.#onDrop(record);
  }

  async #load(): Promise<boolean> {
    // Records that are committed here during the load may not be in its result. They must not be
    // dropped.
    const known = [...this.#records.keys()];
    const { generation, keys, counted } = await this.#database.snapshot(["meta", "packs"], async (transaction) => {
      const meta = transaction.objectStore("meta");
      const generation = toCount(await meta.get("generation"));
      if (generation === this.#generation) return { generation, keys: [], counted: 0 };
      const counted = toCount(await meta.get("records"));
      return { generation, keys: await transaction.objectStore("packs").getAllKeys(), counted };
    });
    if (generation === this.#generation) return false;
    const unknown = keys.filter((key) => !this.#records.has(key));
    for (let i = 0; i < unknown.length; i += LOADED_AT_ONCE) {
      const some = unknown.slice(i, i + LOADED_AT_ONCE);
      const values = await this.#database.read("packs", (store) => Promise.all(some.map((key) => store.get(key))));
      // A record that is gone by now was replaced. The next refresh finds its replacement.
      for (const [j, value] of values.entries()) if (value) this.#add(some[j] as string, value);
    }
    const there = new Set(keys);
    for (const key of known) if (!there.has(key)) this.drop(key);
    this.#generation = generation;
    this.#lacksRecords = keys.length !== counted;
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
      size: lengthOf(value.size),
      trailer: lengthOf(value.trailer),
      count: 0,
      bytes: 0,
    };
    try {
      readEntries(`index record ${key} of the store`, value, (digest, kind, offset, length) => {
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

/** Reads a length of a record, which other code of this origin may have changed. */
function lengthOf(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
