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

/** A pack is ended before it gets longer than this, or has more objects. */
const MAX_PACK = 32 * 1024 * 1024;
const MAX_PACK_OBJECTS = 256 * 1024;
/** Packs that are on their way to the disk at a time. */
const MAX_FINISHING = 4;
/** What is written to a pack at a time: no more than a core's cache holds, since the operating system copies it. */
const BUFFER = 256 * 1024;
/** Objects from this length on are written as they are, without a copy in the buffer. */
const DIRECT = 64 * 1024;

export interface SessionOptions {
  /** `strict`: a commit is on the disk when it resolves. `relaxed`: it is with the operating system. */
  readonly durability: "strict" | "relaxed";
  /** Records that the next commit takes away: what they have is written anew. */
  readonly replaces?: ReadonlySet<IndexRecord> | undefined;
  /** Entries that are taken for missing. */
  readonly distrusts?: EntrySet | undefined;
}

/**
 * Writes objects into packs of its own, and makes them visible all at once. What is there already is not written again, but relied
 * upon: should garbage collection take it away before the commit, it is written then, from the old pack, which stays as long as somebody
 * writes.
 *
 * Made by `PackedStore`'s owner under the writers' lock, and ended by `close`.
 */
export class WriteSession implements WritableObjects {
  readonly #store: PackedStore;
  readonly #durability: IDBTransactionDurability;
  readonly #relied = new Reliance();
  /**
   * Records that garbage collection took away while this session was under way. Their packs are still there, and what was relied on may lead to
   * them: a blob to its chunks, a directory to all beneath it.
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
  /** Packs that were ended, that no commit has made visible yet. */
  #packs: IndexRecord[] = [];
  /** Those that are still on their way to the disk. */
  readonly #finishing = new Map<IndexRecord, Promise<void>>();
  #current: { record: IndexRecord; writer: PackWriter } | undefined;
  readonly #buffer = new Uint8Array(BUFFER);
  #buffered = 0;
  /** Whether a commit was tried that may have got further than we were told. */
  #isUnclear = false;
  #hasTried = false;
  /** The first entry that may be ours. */
  #firstEntry: number;
  /** One call after the other touches packs. */
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

  /** Whether a commit was tried: something may be visible then, however the session ended. */
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
      // The pack may have been ended while we waited.
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
   * Makes visible what was written since the last commit, together with what `change` does: in one transaction, which is complete when
   * this resolves. Before it everything is flushed. When it rejects, nothing of it is visible.
   *
   * @param names of the object stores that `change` uses
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

  /** Ends the session. What was not committed is removed. */
  async close(): Promise<void> {
    await this.#turn.catch(() => {});
    this.#endDeparture();
    this.#failure ??= { error: new StoreError("closed", "what was being written was ended") };
    const [current, packs] = [this.#current, this.#packs];
    this.#current = undefined;
    await Promise.allSettled(this.#finishing.values());
    this.#packs = [];
    if (current) current.record.writer = undefined;
    for (const record of packs) record.writer = undefined;
    // A sweep looks at the database first.
    if (this.#isUnclear) return this.#store.wantSweep();
    try {
      await current?.writer.abort();
      for (const record of packs) await this.#store.packStore(record).delete(record.pack);
    } catch {
      // Why the session ended is what its caller has to know.
      this.#store.wantSweep();
    }
  }

  /** Runs calls one after the other. After a failure nothing is written any more: a pack may lack bytes that its entries promise. */
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

  /** Packs of these that are on their way to the disk: who flushes a file must be alone with it. */
  #underWay(locations: readonly (ObjectLocation<IndexRecord> | undefined)[]): Promise<void>[] {
    if (this.#finishing.size === 0) return [];
    return [...new Set(locations.flatMap((location) => (location && this.#finishing.get(location.record)) ?? []))];
  }

  /** What others wrote and this session says it is there, it relies on from then on. */
  #find(kind: ObjectKind, digest: Digest, accept = this.#isVisible): number {
    const { table } = this.#store;
    const entry = table.find(digest, kind, accept);
    if (entry !== NONE && !this.#relied.has(entry)) {
      const { record } = table.location(entry);
      if (record.writer !== this) this.#relied.add(entry, record);
    }
    return entry;
  }

  /** What only goes to the buffer takes no promise: that costs as much as a short object. */
  #append(kind: ObjectKind, digest: Digest, bytes: Uint8Array): Promise<void> | undefined {
    const record = this.#current?.record;
    if (!record || !hasRoom(record, bytes) || bytes.length >= DIRECT || this.#buffered + bytes.length > BUFFER)
      return this.#appendPast(kind, digest, bytes);
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
    this.#enter(record, kind, digest, bytes);
    return undefined;
  }

  /** Appends where there is no room yet. */
  async #appendPast(kind: ObjectKind, digest: Digest, bytes: Uint8Array): Promise<void> {
    const { length } = bytes;
    if (length > MAX_OBJECT_LENGTH) throw new StoreError("invalid", `object ${formatDigest(digest)} is too large to be kept`);
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
    // The disk must not get behind for ever.
    while (this.#finishing.size >= MAX_FINISHING) await Promise.race(this.#finishing.values());
    const { record, writer } = this.#current;
    this.#packs.push(record);
    this.#current = undefined;
    const finishing = writer.finish(this.#durability === "strict" ? sync : "never").finally(() => this.#finishing.delete(record));
    this.#finishing.set(record, finishing);
    // Whoever waits for it is told.
    finishing.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    if (sync === "now") await finishing;
  }

  /**
   * Whether packs that were relied on are missing. The browser may have deleted this site's files and kept the database, and a deleted
   * pack can still be read through an open handle.
   *
   * @param last a pack of this session that was there when it was ended, just now
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
    // Where some are gone, others may be that these lead to.
    await this.#store.missingPacks();
    return relied.some((record) => record.missing);
  }

  /** True if something that was relied on is gone; then nothing was written. */
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

  /** With their keys; one after the other, as a million entries take 40 MB. Packs are written in turn, and entries lie in their order. */
  *#packRecords(): Generator<[key: string, record: PackRecord]> {
    const { table } = this.#store;
    let entry = this.#firstEntry;
    for (const record of this.#packs) {
      const { key, pack, storage, size, count } = record;
      const entries = new EntryWriter(count);
      for (let found = 0; found < count; entry++) {
        // Between ours lies what others committed meanwhile.
        const location = table.location(entry);
        if (location.record !== record) continue;
        entries.add({ digest: table.digest(entry), ...location });
        found++;
      }
      yield [key, { pack, storage, size, entries: entries.bytes }];
    }
  }

  /** Writes what was relied on and is not there any more, with all that it refers to, from where it was. */
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

  /** An object from a pack that nothing refers to any more, but that is still there. */
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
    const why = "it was collected as garbage, or the browser has cleared this site's files. Try again.";
    throw new StoreError("conflict", `object ${formatDigest(digest)}, which was there before, is gone: ${why}`);
  }
}

function hasRoom({ size, count }: IndexRecord, { length }: Uint8Array): boolean {
  return size + length <= MAX_PACK && count < MAX_PACK_OBJECTS;
}

/** The entries that a session needs and did not write. */
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
