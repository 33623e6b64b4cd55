import type { DBSchema, IDBPDatabase, IDBPObjectStore, IDBPTransaction, StoreNames } from "idb";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { Pin } from "../thread/maintenance-api.ts";
import { databaseName } from "../thread/store-places.ts";
import { untilAborted } from "../until-aborted.ts";
import { DatabaseConnection, type Waiting } from "./database-connection.ts";
import { storageError } from "./storage-error.ts";

/**
 * Index record: it lists the objects of a pack, or some of them (docs/storage.md). Its key is a
 * UUID. A record never changes; a new record under a new key replaces it.
 */
export interface PackRecord {
  /** Id of the pack. */
  readonly pack: string;
  readonly storage: "opfs" | "indexeddb";
  /** Bytes of the pack. */
  readonly size: number;
  /**
   * Bytes of the pack's trailer (`pack-format.ts`). A pack of version 2 has no trailer and no
   * header; its record lacks the field.
   */
  readonly trailer?: number | undefined;
  /** Entries of the objects, 40 bytes each (`pack-entries.ts`). */
  readonly entries: Uint8Array;
}

/** Value of a blob in version 1 of the database, which had a record for each object. */
export type LegacyBlob = { chunks: Uint8Array; bao?: Uint8Array } | Uint8Array;

type DigestKey = Uint8Array<ArrayBuffer>;

export interface StoreSchema extends DBSchema {
  packs: { key: string; value: PackRecord };
  /** Content of packs that are stored in IndexedDB, by pack id and segment number. */
  segments: { key: [string, number]; value: Uint8Array };
  /** Path infos by the hash part of their store path. */
  pathInfos: { key: string; value: PathInfo };
  pins: { key: string; value: Pin };
  meta: { key: MetaKey; value: MetaValue };
  chunks: { key: DigestKey; value: Uint8Array };
  blobs: { key: DigestKey; value: LegacyBlob };
  directories: { key: DigestKey; value: Uint8Array };
}

/**
 * Keys of `meta`. `id` is a UUID, made with the store. `generation` counts the transactions that
 * changed `packs`. `roots` counts the transactions that added path infos, pins, or objects that
 * others rely on. `records` is the number of index records; if `packs` has another number, records
 * were lost. `adopted` lists the ids of lost stores whose packs this store has taken over.
 */
export type MetaKey = "id" | "generation" | "roots" | "records" | "adopted";
export type MetaValue = number | string | readonly string[];

export type StoreName = StoreNames<StoreSchema>;
/**
 * Object stores of version 1 of the database. Databases that a later version created don't have
 * them. Packing empties them.
 */
export const LEGACY_STORES = ["chunks", "blobs", "directories"] as const;

export type WriteTransaction = IDBPTransaction<StoreSchema, StoreName[], "readwrite">;

/**
 * Milliseconds that `close` waits for running transactions. A connection that the browser has
 * dropped may never report their end.
 */
const CLOSING_TIME = 1000;

/**
 * A store's database. Runs transactions over a connection that is opened again when it is lost
 * (`database-connection.ts`).
 */
export class StoreDatabase {
  readonly #name: string;
  readonly #connection: DatabaseConnection;
  readonly #running = new Set<Promise<void>>();

  /** @param onWaiting called while the database can't be opened yet */
  constructor(storeName: string, onWaiting?: (what: Waiting) => void) {
    this.#name = databaseName(storeName);
    this.#connection = new DatabaseConnection(storeName, this.#name, onWaiting);
  }

  /**
   * Aborts with a StoreError `closed` when the database is closed for good: by its owner, for
   * another tab, or because the browser deleted it (`isEvicted`).
   */
  get ended(): AbortSignal {
    return this.#connection.ended;
  }

  /**
   * Whether the browser has deleted the database, for example because this site's data was cleared.
   */
  get isEvicted(): boolean {
    return this.#connection.isEvicted;
  }

  /** Runs `work` in a read-only transaction over one object store. */
  read<N extends StoreName, T>(name: N, work: (store: IDBPObjectStore<StoreSchema, [N], N, "readonly">) => Promise<T>): Promise<T> {
    return this.#run(async (db) => work(this.#begun(db.transaction(name, "readonly")).store));
  }

  /**
   * Runs `work` in a read-only transaction over several object stores, which shows all of them at
   * the same moment.
   */
  snapshot<T>(
    names: readonly StoreName[],
    work: (transaction: IDBPTransaction<StoreSchema, StoreName[], "readonly">) => Promise<T>,
  ): Promise<T> {
    return this.#run(async (db) => work(this.#begun(db.transaction([...names], "readonly"))));
  }

  /** Names of the object stores of version 1 that this database has. */
  legacyStores(): Promise<(typeof LEGACY_STORES)[number][]> {
    return this.#run(async (db) => LEGACY_STORES.filter((name) => db.objectStoreNames.contains(name)));
  }

  /**
   * Runs `work` in a read-write transaction. Resolves when the transaction is complete, not before.
   * If `work` fails, the transaction is rolled back.
   */
  write<T>(
    names: readonly StoreName[],
    durability: IDBTransactionDurability,
    work: (transaction: WriteTransaction) => Promise<T>,
  ): Promise<T> {
    return this.#run(async (db) => {
      const transaction = this.#begun(db.transaction([...names], "readwrite", { durability }));
      try {
        const result = await work(transaction);
        await transaction.done;
        return result;
      } catch (error) {
        const cause = transaction.error;
        abortQuietly(transaction);
        throw cause ?? error;
      }
    });
  }

  async close(): Promise<void> {
    const db = await this.#connection.end(new StoreError("closed", "the store was closed"));
    // If a worker is terminated while WebKit closes its connection, WebKit loses the close, and
    // deleting the database then waits for ever. WebKit delays a close until all transactions have
    // ended, which is later than the answers to their requests. So wait for the transactions before
    // the close. WebKit answers requests in order, so the answer to `databases()` shows that the
    // close is done.
    await Promise.race([Promise.all(this.#running), new Promise((resolve) => setTimeout(resolve, CLOSING_TIME))]);
    db?.close();
    if (indexedDB.databases) await untilAborted(indexedDB.databases(), AbortSignal.timeout(CLOSING_TIME)).catch(() => {});
  }

  /**
   * Tracks a transaction until it has ended. Ignores the transaction's own error: if a request in
   * it fails, `work` rejects with the request's error.
   */
  #begun<T extends { readonly done: Promise<void> }>(transaction: T): T {
    const ended: Promise<void> = transaction.done.catch(() => {}).finally(() => this.#running.delete(ended));
    this.#running.add(ended);
    return transaction;
  }

  async #run<T>(work: (db: IDBPDatabase<StoreSchema>) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.run(work);
    } catch (error) {
      throw this.ended.aborted ? this.ended.reason : storageError(error, `the database ${this.#name}`);
    }
  }
}

/** Adds one to a counter in `meta`. @returns the new value */
export async function increment(transaction: WriteTransaction, key: "generation" | "roots"): Promise<number> {
  const meta = transaction.objectStore("meta");
  const value = toCount(await meta.get(key)) + 1;
  await meta.put(value, key);
  return value;
}

export function toCount(value: MetaValue | undefined): number {
  return typeof value === "number" ? value : 0;
}

function abortQuietly(transaction: { abort(): void }): void {
  try {
    transaction.abort();
  } catch {
    // The transaction has already ended.
  }
}
