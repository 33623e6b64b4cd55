import type { ByteRange } from "../byte-range.ts";
import { RecentlyUsed } from "../recently-used.ts";
import type { StoreDatabase } from "./database.ts";
import type { PackStore, PackWriter } from "./pack-store.ts";
import { coalesced } from "./read-ranges.ts";
import { PackGone } from "./storage-error.ts";

/**
 * Bytes of a segment. Segments are small for two reasons: memory has to hold many that are read
 * often, and each read of a small object reads a whole segment.
 */
const SEGMENT = 1024 * 1024;
/** Number of segments that are cached in memory, over all packs. */
const CACHED = 16;
/** Number of segments that are written to the database while the next one is filled. */
const WINDOW = 4;

/**
 * Packs in IndexedDB, for browsers and modes that have no OPFS. Each MiB of a pack is one value.
 */
export class IndexedDbPacks implements PackStore {
  readonly #database: StoreDatabase;
  /** Cached segments. */
  readonly #cache = new RecentlyUsed<string, { pack: string; bytes: Promise<Uint8Array> }>(CACHED);

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async create(id: string): Promise<PackWriter> {
    return new IndexedDbPackWriter(this.#database, id, async () => void (await this.delete(id)));
  }

  async read(id: string, ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
    return coalesced(ranges, async (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const number = Math.floor((offset + at) / SEGMENT);
        const start = offset + at - number * SEGMENT;
        const segment = await this.#segment(id, number);
        const part = segment.subarray(start, Math.min(start + length - at, SEGMENT));
        if (part.length === 0) throw new PackGone(id, "is cut short");
        bytes.set(part, at);
        at += part.length;
      }
      return bytes;
    });
  }

  async size(id: string): Promise<number> {
    return this.#database.snapshot(["segments"], async (transaction) => {
      const segments = transaction.objectStore("segments");
      const count = await segments.count(segmentsOf(id));
      const last = count > 0 ? await segments.get([id, count - 1]) : undefined;
      if (!(last instanceof Uint8Array)) throw new PackGone(id, "is missing");
      return (count - 1) * SEGMENT + last.length;
    });
  }

  async list(): Promise<string[]> {
    const keys = await this.#database.read("segments", (store) => store.getAllKeys());
    return [...new Set(keys.map(([pack]) => pack))];
  }

  async missing(ids: readonly string[]): Promise<string[]> {
    const first = await this.#database.read("segments", (store) => Promise.all(ids.map((id) => store.getKey(segmentsOf(id)))));
    return ids.filter((_, i) => first[i] === undefined);
  }

  async delete(id: string): Promise<boolean> {
    this.release(id);
    await this.#database.write(["segments"], "relaxed", (transaction) =>
      transaction.objectStore("segments").delete(segmentsOf(id)),
    );
    return true;
  }

  release(id: string): void {
    for (const [key, { pack }] of this.#cache.entries()) if (pack === id) this.#cache.delete(key);
  }

  close(): void {
    this.#cache.clear();
  }

  #segment(pack: string, number: number): Promise<Uint8Array> {
    const key = `${pack}/${number}`;
    const known = this.#cache.get(key);
    if (known) return known.bytes;
    const entry = { pack, bytes: this.#read(pack, number) };
    entry.bytes.catch(() => {
      // Let the next read try again. The segment may have been released and read again since.
      if (this.#cache.peek(key) === entry) this.#cache.delete(key);
    });
    this.#cache.set(key, entry);
    return entry.bytes;
  }

  async #read(pack: string, number: number): Promise<Uint8Array> {
    const bytes = await this.#database.read("segments", (store) => store.get([pack, number]));
    if (!(bytes instanceof Uint8Array)) throw new PackGone(pack, "is missing");
    return bytes;
  }
}

function segmentsOf(id: string): IDBKeyRange {
  return IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]);
}

/**
 * Writes a pack in segments, with relaxed durability. A later transaction of the same database
 * makes the pack visible. When that transaction is on the disk, all transactions before it are too.
 */
class IndexedDbPackWriter implements PackWriter {
  readonly #database: StoreDatabase;
  readonly #id: string;
  readonly #remove: () => Promise<void>;
  #segment = new Uint8Array(SEGMENT);
  #filled = 0;
  #number = 0;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(database: StoreDatabase, id: string, remove: () => Promise<void>) {
    this.#database = database;
    this.#id = id;
    this.#remove = remove;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + SEGMENT - this.#filled);
      this.#segment.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < SEGMENT) continue;
      this.#put(this.#segment);
      this.#segment = new Uint8Array(SEGMENT);
      while (this.#underWay.size >= WINDOW) await Promise.race(this.#underWay);
      this.#throwFailure();
    }
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    await Promise.all(this.#underWay);
    this.#throwFailure();
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const number = Math.floor((offset + at) / SEGMENT);
      const start = offset + at - number * SEGMENT;
      const segment =
        number === this.#number
          ? this.#segment.subarray(0, this.#filled)
          : await this.#database.read("segments", (store) => store.get([this.#id, number]));
      const part = segment?.subarray(start, start + length - at);
      if (!part || part.length === 0) throw new PackGone(this.#id, "is cut short");
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  async finish(): Promise<void> {
    if (this.#filled > 0) this.#put(this.#segment.slice(0, this.#filled));
    await Promise.all(this.#underWay);
    this.#throwFailure();
  }

  async abort(): Promise<void> {
    await Promise.all(this.#underWay);
    await this.#remove();
  }

  #put(segment: Uint8Array): void {
    const key: [string, number] = [this.#id, this.#number++];
    this.#filled = 0;
    const writing = this.#database
      .write(["segments"], "relaxed", (transaction) => transaction.objectStore("segments").put(segment, key))
      .then(
        () => {},
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => this.#underWay.delete(writing));
    this.#underWay.add(writing);
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
