import { type DBSchema, type IDBPDatabase, type IDBPObjectStore, type IDBPTransaction, openDB, type StoreNames } from "idb";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";

/**
 * `chunks`: 40 bytes for each chunk: its digest, and its size as a little-endian 64-bit number; `bao`: the encoded outboard. Blobs of
 * one chunk have no record. The first versions kept the chunks alone.
 */
export type BlobRecord = { chunks: Uint8Array; bao?: Uint8Array } | Uint8Array;

/** Keys are digests as binary keys, and hash parts of store paths. */
export interface StoreSchema extends DBSchema {
  chunks: { key: Uint8Array<ArrayBuffer>; value: Uint8Array };
  blobs: { key: Uint8Array<ArrayBuffer>; value: BlobRecord };
  directories: { key: Uint8Array<ArrayBuffer>; value: Uint8Array };
  pathInfos: { key: string; value: PathInfo };
}

type Name = StoreNames<StoreSchema>;

const VERSION = 1;

/**
 * The connection to a store's database. Opened again if the browser drops it, because some do so to pages in the background; closed
 * for good when another tab wants to upgrade or delete the database.
 */
export class StoreDatabase {
  #name: string;
  #db: Promise<IDBPDatabase<StoreSchema>> | undefined;
  #closed: StoreError | undefined;

  constructor(storeName: string) {
    this.#name = `tvix-store-web:${storeName}`;
  }

  /** Runs `work` in a transaction that only reads. */
  read<N extends Name, T>(name: N, work: (store: IDBPObjectStore<StoreSchema, [N], N, "readonly">) => Promise<T>): Promise<T> {
    return this.#run(async (db) => work(db.transaction(name, "readonly").store));
  }

  /**
   * Runs `work` in a transaction that writes; resolves when the transaction is complete, not before. Nothing of it stays if `work`
   * fails.
   */
  write<T>(
    names: readonly Name[],
    durability: IDBTransactionDurability,
    work: (transaction: IDBPTransaction<StoreSchema, Name[], "readwrite">) => Promise<T>,
  ): Promise<T> {
    return this.#run(async (db) => {
      const transaction = db.transaction([...names], "readwrite", { durability });
      // Where a request fails, its own error is the one to tell.
      transaction.done.catch(() => {});
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

  async #run<T>(work: (db: IDBPDatabase<StoreSchema>) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#open());
    } catch (error) {
      throw this.#closed ?? storageError(error, this.#name);
    }
  }

  async close(): Promise<void> {
    this.#closed ??= new StoreError("closed", "the store was closed");
    const db = await this.#db?.catch(() => undefined);
    db?.close();
  }

  #open(): Promise<IDBPDatabase<StoreSchema>> {
    if (this.#closed) throw this.#closed;
    this.#db ??= this.#connect().catch((error) => {
      this.#db = undefined;
      throw error;
    });
    return this.#db;
  }

  async #connect(): Promise<IDBPDatabase<StoreSchema>> {
    if (typeof indexedDB === "undefined") throw new StoreError("unavailable", "this browser has no IndexedDB");
    return openDB<StoreSchema>(this.#name, VERSION, {
      upgrade(db) {
        for (const name of ["chunks", "blobs", "directories", "pathInfos"] as const) db.createObjectStore(name);
      },
      blocking: (_current, _wanted, event) => {
        this.#closed = new StoreError("closed", "another tab upgrades or deletes this store; reload the page");
        if (event.target instanceof IDBDatabase) event.target.close();
      },
      terminated: () => {
        this.#db = undefined;
      },
    });
  }
}

function abortQuietly(transaction: { abort(): void }): void {
  try {
    transaction.abort();
  } catch {
    // It has ended by itself.
  }
}

/** Gives the platform's exceptions a code. */
function storageError(error: unknown, database: string): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") {
    return new StoreError("quota", "the browser has no room left for this store", { cause: error });
  }
  const code = error.name === "SecurityError" || error.name === "NotAllowedError" ? "denied" : "unavailable";
  return new StoreError(code, `the database ${database} can't be used: ${error.message}`, { cause: error });
}
