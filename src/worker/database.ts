import { type DBSchema, type IDBPDatabase, type IDBPObjectStore, type IDBPTransaction, openDB, type StoreNames } from "idb";
import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { Pin } from "../thread/store-api.ts";
import { untilAborted } from "../until-aborted.ts";
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

const VERSION = 2;
/** Milliseconds that transactions get to end. A connection that the browser has dropped may never tell. */
const CLOSING_TIME = 1000;
/** After so many milliseconds without an answer, opening a database is called waiting. */
const PATIENCE = 2000;
/**
 * When to look whether a database is still there whose connection the browser closed, in milliseconds after one another: it may delete the
 * database only afterwards.
 */
const LOSS_CHECKS = [0, 100, 1000, 5000];

/** What opening or deleting a database waits for: an older version of this page in another tab, or something that the browser doesn't tell. */
export type Waiting = "waiting for another tab" | "waiting for the database";

/**
 * The connection to a store's database. Opened again if the browser drops it, because some do so to pages in the background; closed
 * for good when another tab wants to upgrade or delete the database, and when the browser has deleted it.
 */
export class StoreDatabase {
  readonly #storeName: string;
  readonly #name: string;
  readonly #onWaiting: ((what: Waiting) => void) | undefined;
  #db: Promise<IDBPDatabase<StoreSchema>> | undefined;
  /** Of the database that was opened first. Another one of this name is another store. */
  #id: string | undefined;
  #isEvicted = false;
  #closed: StoreError | undefined;
  readonly #ended = new AbortController();
  /** Aborted when what is under way can't come to an end any more. */
  readonly #lost = new AbortController();
  readonly #running = new Set<Promise<void>>();

  /** @param onWaiting called while the database can't be opened yet */
  constructor(storeName: string, onWaiting?: (what: Waiting) => void) {
    this.#storeName = storeName;
    this.#name = databaseName(storeName);
    this.#onWaiting = onWaiting;
  }

  /**
   * Aborted, with a StoreError `closed`, when it was closed for good: by its owner, for another tab, or because the browser deleted it
   * (`isEvicted`).
   */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether the browser has deleted the database, as it does when this site's data is cleared. */
  get isEvicted(): boolean {
    return this.#isEvicted;
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
    const opened = this.#db;
    this.#end(new StoreError("closed", "the store was closed"));
    // A connection that is still waited for is closed when it comes.
    const db = await untilAborted(opened ?? Promise.resolve(undefined), AbortSignal.timeout(CLOSING_TIME)).catch(() => undefined);
    // WebKit loses a close that is under way when its worker is ended, and then whoever wants to delete the database waits for ever. So it must not
    // wait for a transaction, whose end is told after that of its requests; and requests are answered in order.
    await Promise.race([Promise.all(this.#running), new Promise((resolve) => setTimeout(resolve, CLOSING_TIME))]);
    db?.close();
    await indexedDB.databases?.().catch(() => {});
  }

  /** Keeps sight of a transaction until it has ended. Where a request of it fails, that one's error is the one to tell. */
  #begun<T extends { readonly done: Promise<void> }>(transaction: T): T {
    const ended: Promise<void> = transaction.done.catch(() => {}).finally(() => this.#running.delete(ended));
    this.#running.add(ended);
    return transaction;
  }

  #end(reason: StoreError): void {
    this.#closed ??= reason;
    this.#ended.abort(this.#closed);
  }

  /** The browser has deleted the database. @returns the reason to reject with */
  #evicted(): StoreError {
    const reason = new StoreError(
      "closed",
      `the browser has deleted the store ${quote(this.#storeName)}, as when this site's data is cleared; open it again`,
    );
    if (!this.#closed) this.#isEvicted = true;
    this.#end(reason);
    this.#lost.abort(this.#closed);
    return this.#closed ?? reason;
  }

  /** A connection that was lost is made again once, as the browser may drop it before it says so. */
  async #run<T>(work: (db: IDBPDatabase<StoreSchema>) => Promise<T>): Promise<T> {
    try {
      return await untilAborted(this.#connected(work), this.#lost.signal);
    } catch (error) {
      throw this.#closed ?? storageError(error, `the database ${this.#name}`);
    }
  }

  async #connected<T>(work: (db: IDBPDatabase<StoreSchema>) => Promise<T>): Promise<T> {
    const opened = this.#open();
    try {
      return await work(await opened);
    } catch (error) {
      if (!isLostConnection(error) || this.#closed) throw error;
      if (this.#db === opened) this.#db = undefined;
      return await work(await this.#open());
    }
  }

  #open(): Promise<IDBPDatabase<StoreSchema>> {
    if (this.#closed) throw this.#closed;
    if (!this.#db) {
      const connecting = this.#connect(() => {
        if (this.#db === connecting) this.#db = undefined;
        this.#lookForLoss().catch(() => {});
      });
      this.#db = connecting;
      connecting.then(
        (db) => {
          if (this.#closed) db.close();
        },
        () => {
          if (this.#db === connecting) this.#db = undefined;
        },
      );
    }
    return this.#db;
  }

  /** @param onTerminated called when the browser closes the connection */
  async #connect(onTerminated: () => void): Promise<IDBPDatabase<StoreSchema>> {
    if (typeof indexedDB === "undefined") throw new StoreError("unavailable", "this browser has no IndexedDB");
    const known = this.#id;
    let isGone = false;
    const late = setTimeout(() => this.#onWaiting?.("waiting for the database"), PATIENCE);
    let db: IDBPDatabase<StoreSchema>;
    try {
      db = await openDB<StoreSchema>(this.#name, VERSION, {
        upgrade(db, from, _to, transaction) {
          if (known !== undefined && from === 0) {
            // What this store had is gone, and what knows of it must not write into an empty one.
            isGone = true;
            transaction.done.catch(() => {});
            transaction.abort();
            return;
          }
          for (const name of ["packs", "segments", "pins"] as const) db.createObjectStore(name);
          // Objects of the first version stay until they are packed, which takes more than this transaction may.
          if (from < 1) db.createObjectStore("pathInfos");
          const meta = db.createObjectStore("meta");
          meta.put(crypto.randomUUID(), "id");
        },
        blocked: () => this.#onWaiting?.("waiting for another tab"),
        blocking: (_current, _wanted, event) => {
          this.#end(new StoreError("closed", "another tab upgrades or deletes this store; reload the page"));
          if (event.target instanceof IDBDatabase) event.target.close();
        },
        terminated: onTerminated,
      });
    } catch (error) {
      throw isGone ? this.#evicted() : error;
    } finally {
      clearTimeout(late);
    }
    const id = String(await db.get("meta", "id"));
    if (known !== undefined && id !== known) {
      db.close();
      throw this.#evicted();
    }
    this.#id = id;
    return db;
  }

  /** The browser closed the connection. It does that to pages in the background, and before it deletes the database. */
  async #lookForLoss(): Promise<void> {
    for (const delay of LOSS_CHECKS) {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (this.#closed || this.#db) return;
      const databases = await indexedDB.databases?.();
      // WebKit lists a database that was never made with version 0.
      if (databases && !databases.some(({ name, version }) => name === this.#name && version)) {
        this.#evicted();
        return;
      }
    }
  }
}

export function databaseName(storeName: string): string {
  return `tvix-store-web:${storeName}`;
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

/** The transaction could not even begin: the connection is closed or closing. */
function isLostConnection(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}

function abortQuietly(transaction: { abort(): void }): void {
  try {
    transaction.abort();
  } catch {
    // It has ended by itself.
  }
}
