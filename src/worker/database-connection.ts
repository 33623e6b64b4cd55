import { type IDBPDatabase, type IDBPTransaction, openDB } from "idb";
import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { pause } from "../pause.ts";
import { untilAborted } from "../until-aborted.ts";
import type { StoreName, StoreSchema } from "./database.ts";

const VERSION = 3;
/** Milliseconds without an answer after which opening the database is reported as waiting. */
const PATIENCE = 2000;
/**
 * Milliseconds between the loss of a connection and this thread's next request. While Chromium
 * (156) deletes the databases of a site, it never answers a request of this thread.
 */
const SETTLING_TIME = 100;
/**
 * Milliseconds to wait for an answer that the browser can give at once, and the number of attempts.
 */
const ANSWER_TIME = 1000;
const MAX_ASKED = 5;
/**
 * Delays in milliseconds, one after the other, before the later checks whether the database exists.
 * A check does nothing if there is a connection by then.
 */
const LATER_LOOKS = [1000, 5000];
/** Milliseconds within which a lost connection has to be opened again. */
const RECONNECTING_TIME = 10_000;

/**
 * Reason why opening or deleting a database takes long: an older version of this page in another
 * tab, or a reason that the browser doesn't tell.
 */
export type Waiting = "waiting for another tab" | "waiting for the database";

type OpenDatabase = IDBPDatabase<StoreSchema>;

/** A connection that is open or is being opened. */
interface Connection {
  readonly opened: Promise<OpenDatabase>;
  /**
   * Aborts `ANSWER_TIME` after the browser closed the connection. A transaction that has not ended
   * by then never ends.
   */
  readonly lost: AbortController;
}

/**
 * The connection to a store's database. Some browsers drop the connections of background pages;
 * this class then opens the connection again. The connection ends for good if another tab wants to
 * upgrade or delete the database, or if the browser has deleted the database. A deleted database is
 * not created again, because this thread's index of it would be wrong.
 */
export class DatabaseConnection {
  readonly #storeName: string;
  readonly #name: string;
  readonly #onWaiting: ((what: Waiting) => void) | undefined;
  #connection: Connection | undefined;
  /** The check whether the database still exists after a connection was lost. */
  #settling: Promise<void> | undefined;
  /**
   * Id of the database that was opened first. A database of the same name with another id is
   * another store.
   */
  #id: string | undefined;
  #isEvicted = false;
  readonly #ended = new AbortController();
  readonly #evicted = new AbortController();

  /** @param onWaiting called while the database can't be opened yet */
  constructor(storeName: string, name: string, onWaiting?: (what: Waiting) => void) {
    this.#storeName = storeName;
    this.#name = name;
    this.#onWaiting = onWaiting;
  }

  /** Aborts with a StoreError `closed` when the connection ends for good. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether the connection ended because the browser deleted the database. */
  get isEvicted(): boolean {
    return this.#isEvicted;
  }

  /**
   * Runs `work`, and runs it once more if the connection was lost before `work` began. Rejects if
   * the browser deletes the database meanwhile, even if `work` succeeds.
   */
  run<T>(work: (db: OpenDatabase) => Promise<T>): Promise<T> {
    return untilAborted(this.#run(work), this.#evicted.signal);
  }

  /**
   * Ends the connection for good.
   *
   * @returns the open connection, if there is one; the caller has to close it
   */
  async end(reason: StoreError): Promise<OpenDatabase | undefined> {
    const opened = this.#connection?.opened;
    this.#ended.abort(reason);
    // If the connection opens only after this wait, `#connect` closes it.
    return opened && untilAborted(opened, AbortSignal.timeout(ANSWER_TIME)).catch(() => undefined);
  }

  async #run<T>(work: (db: OpenDatabase) => Promise<T>): Promise<T> {
    const connection = this.#connect();
    try {
      return await through(connection, work);
    } catch (error) {
      if (!isLostConnection(error) || this.ended.aborted) throw error;
      this.#lose(connection);
      return await through(this.#connect(), work);
    }
  }

  #connect(): Connection {
    this.ended.throwIfAborted();
    if (this.#connection) return this.#connection;
    const lost = new AbortController();
    const onTerminated = (): void => {
      this.#lose(connection);
      const reason = new StoreError("unavailable", "the browser closed the store's database during this operation; try again");
      setTimeout(() => lost.abort(reason), ANSWER_TIME);
    };
    const opening = this.#settling ? this.#settling.then(() => this.#open(onTerminated)) : this.#open(onTerminated);
    const opened = this.#id === undefined ? opening : inTime(opening, this.#name);
    const connection: Connection = { opened, lost };
    this.#connection = connection;
    opening.then(
      (db) => {
        // Nobody uses this connection any more.
        if (this.ended.aborted || this.#connection !== connection) db.close();
      },
      () => {},
    );
    opened.catch(() => {
      if (this.#connection === connection) this.#connection = undefined;
    });
    return connection;
  }

  /** @param onTerminated called when the browser closes the connection */
  async #open(onTerminated: () => void): Promise<OpenDatabase> {
    if (typeof indexedDB === "undefined") throw new StoreError("unavailable", "this browser has no IndexedDB");
    this.ended.throwIfAborted();
    const known = this.#id;
    let isGone = false;
    const late = setTimeout(() => this.#onWaiting?.("waiting for the database"), PATIENCE);
    let db: OpenDatabase;
    try {
      db = await openDB<StoreSchema>(this.#name, VERSION, {
        upgrade(db, from, _to, transaction) {
          if (known !== undefined && from === 0) {
            isGone = true;
            transaction.done.catch(() => {});
            transaction.abort();
            return;
          }
          upgrade(db, from, transaction).catch(() => {
            // Without this, a half upgraded database would be committed.
            transaction.done.catch(() => {});
            transaction.abort();
          });
        },
        blocked: () => this.#onWaiting?.("waiting for another tab"),
        blocking: (_current, _wanted, event) => {
          this.#ended.abort(new StoreError("closed", "another tab is upgrading or deleting this store; reload the page"));
          if (event.target instanceof IDBDatabase) event.target.close();
        },
        terminated: onTerminated,
      });
    } catch (error) {
      if (isGone) this.#evict();
      throw error;
    } finally {
      clearTimeout(late);
    }
    const id = await db.get("meta", "id").then(String, (error) => {
      db.close();
      throw error;
    });
    if (known !== undefined && id !== known) {
      db.close();
      this.#evict();
      this.ended.throwIfAborted();
    }
    this.#id = id;
    return db;
  }

  /**
   * Handles that the browser closed a connection. Browsers close connections of background pages,
   * and every connection before they delete the database.
   */
  #lose(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = undefined;
    });
  }

  /**
   * Checks whether the database still exists. Ends the connection for good if the database is gone,
   * or if the browser never answers.
   */
  async #settle(): Promise<void> {
    for (let asked = 0; asked < MAX_ASKED; asked++) {
      await pause(SETTLING_TIME);
      const isThere = await exists(this.#name);
      if (this.ended.aborted) return;
      if (isThere) {
        void this.#lookLater();
        return;
      }
      if (isThere === false) break;
    }
    this.#evict();
  }

  /**
   * Checks again later, because the browser may delete the database some time after it closed the
   * connections.
   */
  async #lookLater(): Promise<void> {
    for (const delay of LATER_LOOKS) {
      await pause(delay);
      const isThere = this.ended.aborted || this.#connection || (await exists(this.#name));
      if (isThere === false && !this.#connection) this.#evict();
    }
  }

  #evict(): void {
    this.#isEvicted = !this.ended.aborted;
    const message = `the browser has deleted the store ${quote(this.#storeName)}, perhaps because this site's data was cleared; open it again`;
    this.#ended.abort(new StoreError("closed", message));
    this.#evicted.abort(this.ended.reason);
  }
}

/** Creates the object stores that version `from` of the database lacks, and counts its records. */
async function upgrade(
  db: OpenDatabase,
  from: number,
  transaction: IDBPTransaction<StoreSchema, StoreName[], "versionchange">,
): Promise<void> {
  // Objects of version 1 stay until `packLegacyObjects` packs them. Packing does not fit into this
  // one transaction.
  if (from < 1) db.createObjectStore("pathInfos");
  if (from < 2) {
    for (const name of ["packs", "segments", "pins"] as const) db.createObjectStore(name);
    await db.createObjectStore("meta").put(crypto.randomUUID(), "id");
  }
  await transaction.objectStore("meta").put(await transaction.objectStore("packs").count(), "records");
}

async function through<T>({ opened, lost }: Connection, work: (db: OpenDatabase) => Promise<T>): Promise<T> {
  return untilAborted(opened.then(work), lost.signal);
}

/** Whether the transaction could not even begin, because the connection is closed or closing. */
function isLostConnection(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}

/**
 * Whether the database exists; `undefined` if the browser does not answer. True if the browser
 * can't list databases: then the next connection finds out.
 */
async function exists(name: string): Promise<boolean | undefined> {
  if (!indexedDB.databases) return true;
  try {
    const databases = await untilAborted(indexedDB.databases(), AbortSignal.timeout(ANSWER_TIME));
    // WebKit also lists databases that were never created; their version is 0.
    return databases.some((database) => database.name === name && database.version);
  } catch {
    return undefined;
  }
}

/**
 * Passes on `opening`.
 *
 * @throws StoreError `unavailable` if it takes longer than `RECONNECTING_TIME`
 */
async function inTime<T>(opening: Promise<T>, name: string): Promise<T> {
  const late = AbortSignal.timeout(RECONNECTING_TIME);
  try {
    return await untilAborted(opening, late);
  } catch (error) {
    if (!late.aborted || error !== late.reason) throw error;
    throw new StoreError("unavailable", `the connection to the database ${name} was lost and can't be opened again; try again`);
  }
}
