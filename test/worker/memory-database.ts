/**
 * A database in memory, in place of `StoreDatabase`. It runs one transaction after the other,
 * copies values as IndexedDB does, and rolls a transaction back whose work fails.
 */

import { compareBytes } from "../../src/bytes.ts";
import type { StoreError } from "../../src/error.ts";
import { LEGACY_STORES, type StoreDatabase, type StoreName } from "../../src/worker/database.ts";

type Key = string | Uint8Array | ArrayBuffer | readonly Key[] | number;

/** Order of the types of keys in IndexedDB. */
function rank(key: Key): number {
  if (typeof key === "number") return 0;
  if (typeof key === "string") return 1;
  return Array.isArray(key) ? 3 : 2;
}

function compareKeys(a: Key, b: Key): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (typeof a === "number" || typeof a === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (!Array.isArray(a)) return compareBytes(new Uint8Array(a as ArrayBuffer), new Uint8Array(b as ArrayBuffer));
  const [left, right] = [a as readonly Key[], b as readonly Key[]];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = compareKeys(left[i] as Key, right[i] as Key);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** The part of `IDBKeyRange` that the storage engine uses. */
export class MemoryKeyRange {
  readonly lower: Key;
  readonly upper: Key | undefined;
  readonly lowerOpen: boolean;

  constructor(lower: Key, upper: Key | undefined, lowerOpen: boolean) {
    this.lower = lower;
    this.upper = upper;
    this.lowerOpen = lowerOpen;
  }

  static bound(lower: Key, upper: Key): MemoryKeyRange {
    return new MemoryKeyRange(lower, upper, false);
  }

  static lowerBound(lower: Key, open = false): MemoryKeyRange {
    return new MemoryKeyRange(lower, undefined, open);
  }
}

type Query = Key | MemoryKeyRange | undefined;
type Row = readonly [key: Key, value: unknown];

class MemoryObjectStore {
  /** Rows in the order of their keys. */
  rows: readonly Row[] = [];

  /** Number of rows before the first one whose key is not less than `key`. */
  #before(key: Key): number {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys((this.rows[middle] as Row)[0], key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #matching(query: Query, count = Number.POSITIVE_INFINITY): readonly Row[] {
    if (query === undefined) return this.rows.slice(0, count);
    const { lower, upper, lowerOpen } = query instanceof MemoryKeyRange ? query : MemoryKeyRange.bound(query, query);
    const first = this.#before(lower);
    const known = this.rows[first];
    const from = lowerOpen && known && compareKeys(known[0], lower) === 0 ? first + 1 : first;
    let to = from;
    while (to < this.rows.length && to - from < count) {
      if (upper !== undefined && compareKeys((this.rows[to] as Row)[0], upper) > 0) break;
      to++;
    }
    return this.rows.slice(from, to);
  }

  async get(query: Query): Promise<unknown> {
    return structuredClone(this.#matching(query)[0]?.[1]);
  }

  async getAll(query?: Query, count?: number): Promise<unknown[]> {
    return this.#matching(query, count).map(([, value]) => structuredClone(value));
  }

  async getKey(query: Query): Promise<unknown> {
    return this.#matching(query)[0]?.[0];
  }

  async getAllKeys(query?: Query, count?: number): Promise<unknown[]> {
    return this.#matching(query, count).map(([key]) => key);
  }

  async count(query?: Query): Promise<number> {
    return this.#matching(query).length;
  }

  async put(value: unknown, given: Key): Promise<void> {
    // IndexedDB returns a binary key as an ArrayBuffer.
    const key = given instanceof Uint8Array ? given.slice().buffer : given;
    const row: Row = [key, structuredClone(value)];
    const at = this.#before(key);
    const known = this.rows[at];
    this.rows = this.rows.toSpliced(at, known && compareKeys(known[0], key) === 0 ? 1 : 0, row);
  }

  async delete(query: Query): Promise<void> {
    const gone = new Set(this.#matching(query));
    if (gone.size > 0) this.rows = this.rows.filter((row) => !gone.has(row));
  }
}

/** A transaction that was run. */
export interface MemoryTransaction {
  readonly names: readonly string[];
  /** `undefined` for a transaction that only reads. */
  readonly durability?: string;
}

export class MemoryDatabase {
  readonly ended: AbortSignal;
  readonly isEvicted = false;
  /** All transactions since the start, or since the test emptied the list. */
  readonly transactions: MemoryTransaction[] = [];
  readonly #ended = new AbortController();
  readonly #stores = new Map<string, MemoryObjectStore>();
  #last: Promise<unknown> = Promise.resolve();

  /** @param hasLegacy whether there are the object stores of version 1 */
  constructor(hasLegacy = false) {
    this.ended = this.#ended.signal;
    for (const name of ["packs", "segments", "pathInfos", "pins", "meta"]) this.#stores.set(name, new MemoryObjectStore());
    if (hasLegacy) for (const name of LEGACY_STORES) this.#stores.set(name, new MemoryObjectStore());
    void this.#store("meta").put(crypto.randomUUID(), "id");
    void this.#store("meta").put(0, "records");
  }

  /** This database under the type that the source wants. */
  get asDatabase(): StoreDatabase {
    return this as unknown as StoreDatabase;
  }

  end(reason: StoreError): void {
    this.#ended.abort(reason);
  }

  read<T>(name: StoreName, work: (store: MemoryObjectStore) => Promise<T>): Promise<T> {
    return this.#run({ names: [name] }, () => work(this.#store(name)));
  }

  snapshot<T>(names: readonly StoreName[], work: (transaction: unknown) => Promise<T>): Promise<T> {
    return this.#run({ names }, () => work(this.#transaction(names)));
  }

  write<T>(names: readonly StoreName[], durability: string, work: (transaction: unknown) => Promise<T>): Promise<T> {
    return this.#run({ names, durability }, async () => {
      const before = names.map((name) => this.#store(name).rows);
      try {
        return await work(this.#transaction(names));
      } catch (error) {
        for (const [i, name] of names.entries()) this.#store(name).rows = before[i] ?? [];
        throw error;
      }
    });
  }

  async legacyStores(): Promise<string[]> {
    return LEGACY_STORES.filter((name) => this.#stores.has(name));
  }

  /** Puts a value outside of all transactions. */
  async put(name: StoreName, key: Key, value: unknown): Promise<void> {
    await this.#store(name).put(value, key);
  }

  async delete(name: StoreName, key: Key): Promise<void> {
    await this.#store(name).delete(key);
  }

  /** Keys and values of an object store. */
  rows(name: StoreName): readonly Row[] {
    return this.#store(name).rows;
  }

  #store(name: string): MemoryObjectStore {
    const store = this.#stores.get(name);
    if (!store) throw new Error(`there is no object store ${name}`);
    return store;
  }

  #transaction(names: readonly string[]): unknown {
    return {
      objectStore: (name: string) => {
        if (!names.includes(name)) throw new Error(`the transaction does not include ${name}`);
        return this.#store(name);
      },
    };
  }

  #run<T>(transaction: MemoryTransaction, work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      this.ended.throwIfAborted();
      this.transactions.push(transaction);
      return work();
    });
    this.#last = result.catch(() => {});
    return result;
  }
}
