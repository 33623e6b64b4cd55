import type { DBSchema, IDBPDatabase, IDBPObjectStore, IDBPTransaction, StoreNames } from "idb";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { Pin } from "../thread/store-api.ts";
import { databaseName } from "../thread/store-places.ts";
import { untilAborted } from "../until-aborted.ts";
import { DatabaseConnection, type Waiting } from "./database-connection.ts";
import { storageError } from "./storage-error.ts";

/** What is known of a pack, or of a part of one (docs/storage.md). Its key is a UUID: a record never changes, another takes its place. */
export interface PackRecord {
  /** The pack's id. */
  readonly pack: string;
  readonly storage: "opfs" | "indexeddb";
  /** Bytes of the pack. */
  readonly size: number;
  /** Objects, 40 bytes each (`pack-entries.ts`). */
  readonly entries: Uint8Array;
}

/** Of the first version of the database, which had a record for each object. */
export type LegacyBlob = { chunks: Uint8Array; bao?: Uint8Array } | Uint8Array;

type DigestKey = Uint8Array<ArrayBuffer>;

export interface StoreSchema extends DBSchema {
  packs: { key: string; value: PackRecord };
  /** The content of packs that are kept here: by the pack's id and the number of the segment. */
  segments: { key: [string, number]; value: Uint8Array };
  /** By the hash part of the store path. */
  pathInfos: { key: string; value: PathInfo };
  pins: { key: string; value: Pin };
  meta: { key: MetaKey; value: number | string };
  chunks: { key: DigestKey; value: Uint8Array };
  blobs: { key: DigestKey; value: LegacyBlob };
  directories: { key: DigestKey; value: Uint8Array };
}

/**
 * `id`: a UUID, made with the store; `generation`: counts the transactions that changed packs; `roots`: those that added path infos or
 * pins, or objects that others rely on.
 */
export type MetaKey = "id" | "generation" | "roots";

export type StoreName = StoreNames<StoreSchema>;
/** Where the first version kept objects. They are there only as long as they have not been packed. */
export const LEGACY_STORES = ["chunks", "blobs", "directories"] as const;

export type WriteTransaction = IDBPTransaction<StoreSchema, StoreName[], "readwrite">;

/** Milliseconds that transactions get to end. A connection that the browser has dropped may never tell. */
const CLOSING_TIME = 1000;

/** A store's database: transactions, over a connection that is made again when it is lost (`database-connection.ts`). */
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
   * Aborted, with a StoreError `closed`, when it was closed for good: by its owner, for another tab, or because the browser deleted it
   * (`isEvicted`).
   */
  get ended(): AbortSignal {
    return this.#connection.ended;
  }

  /** Whether the browser has deleted the database, as it does when this site's data is cleared. */
  get isEvicted(): boolean {
    return this.#connection.isEvicted;
  }

  /** Runs `work` in a transaction that only reads. */
  read<N extends StoreName, T>(name: N, work: (store: IDBPObjectStore<StoreSchema, [N], N, "readonly">) => Promise<T>): Promise<T> {
    return this.#run(async (db) => work(this.#begun(db.transaction(name, "readonly")).store));
  }

  /** The same over several object stores, of which it sees one moment. */
  snapshot<T>(
    names: readonly StoreName[],
    work: (transaction: IDBPTransaction<StoreSchema, StoreName[], "readonly">) => Promise<T>,
  ): Promise<T> {
    return this.#run(async (db) => work(this.#begun(db.transaction([...names], "readonly"))));
  }

  /** Which of the object stores that need not be there are there. */
  legacyStores(): Promise<(typeof LEGACY_STORES)[number][]> {
    return this.#run(async (db) => LEGACY_STORES.filter((name) => db.objectStoreNames.contains(name)));
  }

  /**
   * Runs `work` in a transaction that writes; resolves when the transaction is complete, not before. Nothing of it stays if `work`
   * fails.
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
    // WebKit loses a close that is under way when its worker is ended, and then whoever wants to delete the database waits for ever. So it must not
    // wait for a transaction, whose end is told after that of its requests; and requests are answered in order.
    await Promise.race([Promise.all(this.#running), new Promise((resolve) => setTimeout(resolve, CLOSING_TIME))]);
    db?.close();
    if (indexedDB.databases) await untilAborted(indexedDB.databases(), AbortSignal.timeout(CLOSING_TIME)).catch(() => {});
  }

  /** Keeps sight of a transaction until it has ended. Where a request of it fails, that one's error is the one to tell. */
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

/** Adds one to a counter of `meta`. @returns its value now */
export async function increment(transaction: WriteTransaction, key: "generation" | "roots"): Promise<number> {
  const meta = transaction.objectStore("meta");
  const value = toCount(await meta.get(key)) + 1;
  await meta.put(value, key);
  return value;
}

export function toCount(value: number | string | undefined): number {
  return typeof value === "number" ? value : 0;
}

function abortQuietly(transaction: { abort(): void }): void {
  try {
    transaction.abort();
  } catch {
    // It has ended by itself.
  }
}
