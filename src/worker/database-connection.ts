import { type IDBPDatabase, openDB } from "idb";
import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { untilAborted } from "../until-aborted.ts";
import type { StoreSchema } from "./database.ts";

const VERSION = 2;
/** After so many milliseconds without an answer, opening a database is called waiting. */
const PATIENCE = 2000;
/**
 * Milliseconds to leave the browser alone after it closed a connection. Chromium (156) answers no request of this thread, ever, that comes
 * while it deletes the databases of a site.
 */
const SETTLING_TIME = 100;
/** Milliseconds for an answer that needs no waiting, and how often it is asked for. */
const ANSWER_TIME = 1000;
const MAX_ASKED = 5;
/** When to look again whether a database is there to which nobody has a connection, in milliseconds after one another. */
const LATER_LOOKS = [1000, 5000];
/** Milliseconds in which a connection has to be made again. */
const RECONNECTING_TIME = 10_000;

/** What opening or deleting a database waits for: an older version of this page in another tab, or something that the browser doesn't tell. */
export type Waiting = "waiting for another tab" | "waiting for the database";

type OpenDatabase = IDBPDatabase<StoreSchema>;

/** A connection that is there, or is being made. */
interface Connection {
  readonly opened: Promise<OpenDatabase>;
  /** Aborted some time after the browser has closed it: a transaction of it that has not ended by then never does. */
  readonly lost: AbortController;
}

/**
 * The connection to a store's database. Made again when the browser drops it, because some do so to pages in the background. Ended when
 * another tab wants to upgrade or delete the database, and when the browser has deleted it: then it is not made anew, as what this thread
 * knows of the store is wrong.
 */
export class DatabaseConnection {
  readonly #storeName: string;
  readonly #name: string;
  readonly #onWaiting: ((what: Waiting) => void) | undefined;
  #connection: Connection | undefined;
  /** The look at what became of the database after a connection was lost. */
  #settling: Promise<void> | undefined;
  /** Of the database that was opened first. Another one of this name is another store. */
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

  /** Aborted with a StoreError `closed` at the end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Whether it ended because the browser has deleted the database. */
  get isEvicted(): boolean {
    return this.#isEvicted;
  }

  /**
   * Runs `work`, once more if the connection was lost before it began. Rejects if the browser deletes the database meanwhile, whatever
   * became of `work`.
   */
  run<T>(work: (db: OpenDatabase) => Promise<T>): Promise<T> {
    return untilAborted(this.#run(work), this.#evicted.signal);
  }

  /** Ends it. @returns the connection, which the caller has to close, if there is one */
  async end(reason: StoreError): Promise<OpenDatabase | undefined> {
    const opened = this.#connection?.opened;
    this.#ended.abort(reason);
    // One that is still waited for is closed when it comes.
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
      const reason = new StoreError("unavailable", "the browser closed the database of the store meanwhile; try again");
      setTimeout(() => lost.abort(reason), ANSWER_TIME);
    };
    const opening = this.#settling ? this.#settling.then(() => this.#open(onTerminated)) : this.#open(onTerminated);
    const opened = this.#id === undefined ? opening : inTime(opening, this.#name);
    const connection: Connection = { opened, lost };
    this.#connection = connection;
    opening.then(
      (db) => {
        // Nobody waits for it any more.
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
          for (const name of ["packs", "segments", "pins"] as const) db.createObjectStore(name);
          // Objects of the first version stay until they are packed, which takes more than this transaction may.
          if (from < 1) db.createObjectStore("pathInfos");
          const meta = db.createObjectStore("meta");
          meta.put(crypto.randomUUID(), "id");
        },
        blocked: () => this.#onWaiting?.("waiting for another tab"),
        blocking: (_current, _wanted, event) => {
          this.#ended.abort(new StoreError("closed", "another tab upgrades or deletes this store; reload the page"));
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
    const id = String(await db.get("meta", "id"));
    if (known !== undefined && id !== known) {
      db.close();
      this.#evict();
      this.ended.throwIfAborted();
    }
    this.#id = id;
    return db;
  }

  /** The browser closed a connection. It does that to pages in the background, and before it deletes the database. */
  #lose(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = undefined;
    });
  }

  /** Resolves when it is known whether the database is still there, or nobody answers. If it is not, this ends. */
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

  /** The browser may delete the database some time after it closed its connections. */
  async #lookLater(): Promise<void> {
    for (const delay of LATER_LOOKS) {
      await pause(delay);
      const isThere = this.ended.aborted || this.#connection || (await exists(this.#name));
      if (isThere === false && !this.#connection) this.#evict();
    }
  }

  #evict(): void {
    this.#isEvicted = !this.ended.aborted;
    const message = `the browser has deleted the store ${quote(this.#storeName)}, as when this site's data is cleared; open it again`;
    this.#ended.abort(new StoreError("closed", message));
    this.#evicted.abort(this.ended.reason);
  }
}

async function through<T>({ opened, lost }: Connection, work: (db: OpenDatabase) => Promise<T>): Promise<T> {
  return untilAborted(opened.then(work), lost.signal);
}

/** The transaction could not even begin: the connection is closed or closing. */
function isLostConnection(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}

/** `undefined` if the browser does not answer. Where it can't be asked, the next connection shows it. */
async function exists(name: string): Promise<boolean | undefined> {
  if (!indexedDB.databases) return true;
  try {
    const databases = await untilAborted(indexedDB.databases(), AbortSignal.timeout(ANSWER_TIME));
    // WebKit lists a database that was never made with version 0.
    return databases.some((database) => database.name === name && database.version);
  } catch {
    return undefined;
  }
}

/** Rejects with `unavailable` if a connection is not made in time. */
async function inTime<T>(opening: Promise<T>, name: string): Promise<T> {
  const late = AbortSignal.timeout(RECONNECTING_TIME);
  try {
    return await untilAborted(opening, late);
  } catch (error) {
    if (!late.aborted || error !== late.reason) throw error;
    throw new StoreError("unavailable", `the database ${name}, which was open before, does not open again; try again`);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
