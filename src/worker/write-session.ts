import { equalBytes } from "../bytes.ts";
import { type Digest, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import { decodeDirectory } from "../castore/directory-codec.ts";
import { isStoreError, StoreError } from "../error.ts";
import { decodeBlob } from "./blob-object.ts";
import { increment, type PackRecord, type StoreName, type WriteTransaction } from "./database.ts";
import { EntrySet } from "./entry-set.ts";
import { BLOB, CHUNK, DIRECTORY, MAX_OBJECT_LENGTH, NONE, type ObjectKind, type ObjectLocation } from "./object-table.ts";
import type { NewObject, WritableObjects } from "./object-view.ts";
import { EntryWriter } from "./pack-entries.ts";
import type { PackWriter } from "./pack-store.ts";
import type { IndexRecord, PackedStore } from "./packed-store.ts";
import { FILES_CLEARED, quotaError } from "./storage-error.ts";

/**
 * Limits of a pack, in bytes and in objects. The session ends a pack before it exceeds one of them.
 */
const MAX_PACK = 32 * 1024 * 1024;
const MAX_PACK_OBJECTS = 256 * 1024;
/** Number of ended packs that are written out at a time. */
const MAX_FINISHING = 4;
/**
 * Bytes that are written to a pack at a time. They fit into a core's cache, because the operating
 * system copies them.
 */
const BUFFER = 256 * 1024;
/** Objects of at least this many bytes are written directly, without a copy in the buffer. */
const DIRECT = 64 * 1024;

export interface SessionOptions {
  /**
   * When a commit resolves, it is on the disk (`strict`), or with the operating system (`relaxed`).
   */
  readonly durability: "strict" | "relaxed";
  /** Records that the next commit removes. Their objects are written again. */
  readonly replaces?: ReadonlySet<IndexRecord> | undefined;
  /** Entries that count as missing. */
  readonly distrusts?: EntrySet | undefined;
}

/**
 * Writes objects into its own packs, and makes them visible all at once. The session does not write
 * objects that exist already, but relies on them. If garbage collection removes such an object
 * before the commit, the session copies it from the old pack, which exists for as long as somebody
 * writes.
 *
 * A session has to be created while its owner holds the writers' lock, and ended by `close`.
 */
export class WriteSession implements WritableObjects {
  readonly #store: PackedStore;
  readonly #durability: IDBTransactionDurability;
  readonly #relied = new Reliance();
  /**
   * Records that garbage collection removed during this session. Their packs still exist. Objects
   * that the session relies on may refer to objects in them: a blob to its chunks, a directory to
   * everything below it.
   */
  readonly #departed = new Set<IndexRecord>();
  readonly #endDeparture: () => void;
  readonly #isCommitted = (record: IndexRecord, entry: number): boolean =>
    record.writer === this || (record.alive && !record.missing && !this.#replaced.has(record) && !this.#distrusted.has(entry));
  readonly #isVisible = (record: IndexRecord, entry: number): boolean =>
    this.#isCommitted(record, entry) ||
    this.#relied.has(entry) ||
    (this.#departed.has(record) && !this.#replaced.has(record) && !this.#distrusted.has(entry));
  readonly #distrusted: EntrySet;
  #replaced: ReadonlySet<IndexRecord>;
  /** Packs that are ended but not committed yet. */
  #packs: IndexRecord[] = [];
  /** Packs that are ended but not written out yet. */
  readonly #finishing = new Map<IndexRecord, Promise<void>>();
  #current: { record: IndexRecord; writer: PackWriter } | undefined;
  readonly #buffer = new Uint8Array(BUFFER);
  #buffered = 0;
  /** Whether a commit was tried whose outcome is unknown. */
  #isUnclear = false;
  #hasTried = false;
  /** First entry that may belong to this session. */
  #firstEntry: number;
  /** The last of the calls that touch packs; they run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  constructor(store: PackedStore, { durability, replaces = new Set(), distrusts = new EntrySet() }: SessionOptions) {
    this.#store = store;
    this.#replaced = replaces;
    this.#distrusted = distrusts;
    this.#durability = durability;
    this.#firstEntry = store.table.count;
    this.#endDeparture = store.onDrop((record) => this.#departed.add(record));
  }

  /** Whether a commit was tried. If so, something may be visible, however the session ended. */
  get mayHaveCommitted(): boolean {
    return this.#hasTried;
  }

  async has(kind: ObjectKind, digests: readonly Digest[]): Promise<boolean[]> {
    return digests.map((digest) => this.#find(kind, digest) !== NONE);
  }

  async read(kind: ObjectKind, digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    const entries = digests.map((digest) => this.#find(kind, digest));
    const { table } = this.#store;
    const locations = entries.map((entry) => (entry === NONE ? undefined : table.location(entry)));
    for (let waiting = this.#underWay(locations); waiting.length > 0; waiting = this.#underWay(locations))
      await Promise.all(waiting);
    const open = this.#current?.record;
    if (!open || !locations.some((location) => location?.record === open)) return this.#store.readLocations(locations);
    return this.#exclusively(async () => {
      await this.#flush();
      // The pack may have ended during the wait.
      for (let waiting = this.#underWay(locations); waiting.length > 0; waiting = this.#underWay(locations))
        await Promise.all(waiting);
      const isOpen = (record: IndexRecord): boolean => record === this.#current?.record;
      const found = await this.#store.readLocations(
        locations.map((location) => (location && !isOpen(location.record) ? location : undefined)),
      );
      for (const [i, location] of locations.entries()) {
        if (location && isOpen(location.record)) found[i] = await this.#current?.writer.read(location);
      }
      return found;
    });
  }

  write(objects: readonly NewObject[]): Promise<void> {
    return this.#exclusively(async () => {
      for (const { kind, digest, bytes } of objects) {
        if (this.#find(kind, digest) !== NONE) continue;
        const appended = this.#append(kind, digest, bytes);
        if (appended) await appended;
      }
    });
  }

  /**
   * Makes everything that was written since the last commit visible, together with the effects of
   * `change`. One transaction does both; it is complete when this resolves. All packs are written
   * out before it, and flushed if durability is `strict`. If this rejects, nothing is visible,
   * unless the database connection was lost while the transaction was running (`mayHaveCommitted`).
   *
   * @param names the object stores that `change` uses
   */
  commit(names: readonly StoreName[], change: (transaction: WriteTransaction) => Promise<void>): Promise<void> {
    return this.#exclusively(async () => {
      for (;;) {
        const last = this.#current?.record;
        await this.#endPack("now");
        await Promise.all(this.#finishing.values());
        if (this.#failure) throw this.#failure.error;
        if (await this.#lostPacks(last)) {
          await this.#rescue();
          continue;
        }
        this.#isUnclear = true;
        this.#hasTried = true;
        const gone = await this.#publish(names, change);
        this.#isUnclear = false;
        if (!gone) break;
        await this.#store.refresh();
        await this.#rescue();
      }
      for (const record of this.#packs) this.#store.adopt(record);
      for (const { key } of this.#replaced) this.#store.drop(key);
      this.#replaced = new Set();
      this.#packs = [];
      this.#relied.clear();
      this.#firstEntry = this.#store.table.count;
    });
  }

  /** Ends the session, and deletes everything that was not committed. */
  async close(): Promise<void> {
    await this.#turn.catch(() => {});
    this.#endDeparture();
    this.#failure ??= { error: new StoreError("closed", "the write session has ended") };
    const [current, packs] = [this.#current, this.#packs];
    this.#current = undefined;
    await Promise.allSettled(this.#finishing.values());
    this.#packs = [];
    if (current) current.record.writer = undefined;
    for (const record of packs) record.writer = undefined;
    // The last commit may have succeeded. A sweep finds out, because it reads the database first.
    if (this.#isUnclear) return this.#store.wantSweep();
    try {
      await current?.writer.abort();
      for (const record of packs) await this.#store.packStore(record).delete(record.pack);
    } catch {
      // The caller has to learn why the session ended, not that its cleanup failed.
      this.#store.wantSweep();
    }
  }

  /**
   * Runs calls one after the other. After a failure, the session writes nothing more: a pack may
   * lack bytes that its entries promise.
   */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(async () => {
      if (this.#failure) throw this.#failure.error;
      try {
        this.#store.database.ended.throwIfAborted();
        return await work();
      } catch (error) {
        this.#failure = { error };
        throw error;
      }
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  /**
   * Returns promises for packs among `locations` that are not written out yet. A flush needs
   * exclusive access to the file.
   */
  #underWay(locations: readonly (ObjectLocation<IndexRecord> | undefined)[]): Promise<void>[] {
    if (this.#finishing.size === 0) return [];
    return [...new Set(locations.flatMap((location) => (location && this.#finishing.get(location.record)) ?? []))];
  }

  /** Finds an object. If others wrote it, the session relies on it from now on. */
  #find(kind: ObjectKind, digest: Digest, accept = this.#isVisible): number {
    const { table } = this.#store;
    const entry = table.find(digest, kind, accept);
    if (entry !== NONE && !this.#relied.has(entry)) {
      const { record } = table.location(entry);
      if (record.writer !== this) this.#relied.add(entry, record);
    }
    return entry;
  }

  /**
   * Appends an object. Returns no promise if the object fits into the buffer, because a promise
   * costs as much as a short object.
   */
  #append(kind: ObjectKind, digest: Digest, bytes: Uint8Array): Promise<void> | undefined {
    const record = this.#current?.record;
    if (!record || !hasRoom(record, bytes) || bytes.length >= DIRECT || this.#buffered + bytes.length > BUFFER)
      return this.#appendPast(kind, digest, bytes);
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
    this.#enter(record, kind, digest, bytes);
    return undefined;
  }

  /** Appends an object that is long, or that does not fit into the buffer or the current pack. */
  async #appendPast(kind: ObjectKind, digest: Digest, bytes: Uint8Array): Promise<void> {
    const { length } = bytes;
    if (length > MAX_OBJECT_LENGTH) throw new StoreError("invalid", `object ${formatDigest(digest)} is too large to store`);
    if (this.#current && !hasRoom(this.#current.record, bytes)) await this.#endPack("beside");
    this.#current ??= await this.#startPack();
    await this.#flush();
    if (length < DIRECT) return this.#append(kind, digest, bytes);
    await this.#put(bytes);
    this.#enter(this.#current.record, kind, digest, bytes);
  }

  #enter(record: IndexRecord, kind: ObjectKind, digest: Digest, { length }: Uint8Array): void {
    this.#store.table.add(digest, kind, record, record.size, length);
    record.size += length;
    record.bytes += length;
    record.count++;
  }

  async #startPack(): Promise<{ record: IndexRecord; writer: PackWriter }> {
    const { storage } = this.#store;
    const pack = crypto.randomUUID();
    const record: IndexRecord = {
      alive: false,
      writer: this,
      key: crypto.randomUUID(),
      pack,
      storage,
      size: 0,
      count: 0,
      bytes: 0,
    };
    const writer = await this.#store.packStore(record).create(pack);
    return { record, writer };
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return;
    await this.#put(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    try {
      await this.#current?.writer.append(bytes);
    } catch (error) {
      throw isStoreError(error, "quota") ? await quotaError(bytes.length, error) : error;
    }
  }

  async #endPack(sync: "now" | "beside"): Promise<void> {
    if (!this.#current) return;
    await this.#flush();
    // Wait for the disk, so that it doesn't fall further and further behind.
    while (this.#finishing.size >= MAX_FINISHING) await Promise.race(this.#finishing.values());
    const { record, writer } = this.#current;
    this.#packs.push(record);
    this.#current = undefined;
    const finishing = writer.finish(this.#durability === "strict" ? sync : "never").finally(() => this.#finishing.delete(record));
    this.#finishing.set(record, finishing);
    // The next call of this session rejects with this error.
    finishing.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    if (sync === "now") await finishing;
  }

  /**
   * Checks whether packs that the session relies on are missing. The browser may have deleted this
   * site's files and kept the database, and a deleted pack can still be read through an open
   * handle.
   *
   * @param last a pack of this session that still existed when it was ended, just now
   * @throws StoreError `unavailable` if a pack of this session is missing
   */
  async #lostPacks(last: IndexRecord | undefined): Promise<boolean> {
    const relied = this.#relied.records();
    const missing = new Set<string>();
    for (const storage of ["opfs", "indexeddb"] as const) {
      const packs = [...this.#packs, ...relied].flatMap((record) =>
        record !== last && record.storage === storage && record.size > 0 ? [record.pack] : [],
      );
      if (packs.length === 0) continue;
      for (const pack of await this.#store.packStore({ storage }).missing([...new Set(packs)])) missing.add(pack);
    }
    if (missing.size === 0) return false;
    if (this.#packs.some(({ pack }) => missing.has(pack))) throw new StoreError("unavailable", FILES_CLEARED);
    // If these packs are gone, packs that their objects refer to may be gone too.
    await this.#store.missingPacks();
    return relied.some((record) => record.missing);
  }

  /**
   * Commits in one transaction.
   *
   * @returns true if an object that the session relies on is gone; then nothing was written
   */
  async #publish(names: readonly StoreName[], change: (transaction: WriteTransaction) => Promise<void>): Promise<boolean> {
    const relied = this.#relied.records();
    return this.#store.database.write(
      [...new Set<StoreName>(["packs", "meta", ...names])],
      this.#durability,
      async (transaction) => {
        const packs = transaction.objectStore("packs");
        const keys = await Promise.all(relied.map(({ key }) => packs.getKey(key)));
        if (keys.includes(undefined)) return true;
        for (const [key, value] of this.#packRecords()) await packs.put(value, key);
        for (const { key } of this.#replaced) await packs.delete(key);
        if (this.#packs.length > 0 || this.#replaced.size > 0) await increment(transaction, "generation");
        await change(transaction);
        return false;
      },
    );
  }

  /**
   * Yields the keys and index records of the ended packs. Yields one at a time, because a million
   * entries take 40 MB. Packs are written one after the other, so entries lie in the order of the
   * packs.
   */
  *#packRecords(): Generator<[key: string, record: PackRecord]> {
    const { table } = this.#store;
    let entry = this.#firstEntry;
    for (const record of this.#packs) {
      const { key, pack, storage, size, count } = record;
      const entries = new EntryWriter(count);
      for (let found = 0; found < count; entry++) {
        // Entries that others committed meanwhile lie between those of this session.
        const location = table.location(entry);
        if (location.record !== record) continue;
        entries.add({ digest: table.digest(entry), ...location });
        found++;
      }
      yield [key, { pack, storage, size, entries: entries.bytes }];
    }
  }

  /**
   * Copies objects that the session relied on and that are gone, with everything that they refer
   * to, from their old packs into its own.
   */
  async #rescue(): Promise<void> {
    const { table } = this.#store;
    const wanted: { kind: ObjectKind; digest: Digest }[] = [];
    for (const entry of this.#relied.entries()) {
      const { record } = table.location(entry);
      if (record.alive && !record.missing) continue;
      wanted.push({ kind: table.location(entry).kind, digest: table.digest(entry) });
    }
    this.#relied.clear();
    const isThere = (kind: ObjectKind, digest: Digest): boolean => this.#find(kind, digest, this.#isCommitted) !== NONE;
    for (let next = wanted.pop(); next; next = wanted.pop()) {
      const { kind, digest } = next;
      if (isThere(kind, digest)) continue;
      const bytes = await this.#readGone(kind, digest);
      await this.#append(kind, digest, bytes);
      if (kind === BLOB) {
        for (const chunk of decodeBlob(bytes, digest).chunks) wanted.push({ kind: CHUNK, digest: chunk.digest });
      } else if (kind === DIRECTORY) {
        for (const { node } of decodeDirectory(bytes).entries) {
          if (node.kind === "directory" && !equalBytes(node.digest, EMPTY_DIGEST))
            wanted.push({ kind: DIRECTORY, digest: node.digest });
          if (node.kind !== "file" || node.size === 0n || isThere(BLOB, node.digest) || isThere(CHUNK, node.digest)) continue;
          const isLong = table.find(node.digest, BLOB, () => true) !== NONE;
          wanted.push({ kind: isLong ? BLOB : CHUNK, digest: node.digest });
        }
      }
    }
  }

  /** Reads an object from a pack that no record refers to any more, but that still exists. */
  async #readGone(kind: ObjectKind, digest: Digest): Promise<Uint8Array> {
    const { table } = this.#store;
    const candidates: number[] = [];
    table.find(digest, kind, (_, entry) => {
      candidates.push(entry);
      return false;
    });
    for (const entry of candidates) {
      const [bytes] = await this.#store.readLocations([table.location(entry)]).catch(() => []);
      if (bytes) return bytes;
    }
    const why = "it was garbage-collected, or the browser has cleared this site's files. Try again.";
    throw new StoreError("conflict", `object ${formatDigest(digest)} has disappeared during the write: ${why}`);
  }
}

function hasRoom({ size, count }: IndexRecord, { length }: Uint8Array): boolean {
  return size + length <= MAX_PACK && count < MAX_PACK_OBJECTS;
}

/** Entries that a session relies on, and their records. */
class Reliance {
  #entries = new EntrySet();
  readonly #records = new Set<IndexRecord>();

  has(entry: number): boolean {
    return this.#entries.has(entry);
  }

  add(entry: number, record: IndexRecord): void {
    this.#entries.add(entry);
    this.#records.add(record);
  }

  entries(): Iterable<number> {
    return this.#entries;
  }

  records(): IndexRecord[] {
    return [...this.#records];
  }

  clear(): void {
    this.#entries.clear();
    this.#records.clear();
  }
}
