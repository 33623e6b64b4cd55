import { equalBytes } from "../bytes.ts";
import { type Digest, EMPTY_DIGEST } from "../castore/digest.ts";
import { decodeDirectory } from "../castore/directory-codec.ts";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import { decodeBlob } from "./blob-object.ts";
import { increment, type StoreName, type WriteTransaction } from "./database.ts";
import { Distrust } from "./distrust.ts";
import { EntrySet } from "./entry-set.ts";
import { readGone } from "./gone-object.ts";
import { changeRecords } from "./index-records.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "./object-table.ts";
import type { NewObject, WritableObjects } from "./object-view.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";
import { Reliance } from "./reliance.ts";
import { SessionPacks } from "./session-packs.ts";
import { FILES_CLEARED, PackGone } from "./storage-error.ts";
import type { Trim } from "./trim.ts";

export interface SessionOptions {
  /**
   * When a commit resolves, it is on the disk (`strict`), or with the operating system (`relaxed`).
   */
  readonly durability: "strict" | "relaxed";
  /** Records that the next commit removes. Their objects are written again. */
  readonly replaces?: ReadonlySet<IndexRecord> | undefined;
  /**
   * Damaged entries. They count as missing. A commit removes an entry if its object was
   * written again.
   */
  readonly distrusts?: EntrySet | undefined;
  /**
   * Whether objects that exist are compared with the new bytes; `true` by default. Set it to
   * `false` to copy objects without a check of their digests: the copy may be the damaged one.
   */
  readonly compares?: boolean | undefined;
}

/**
 * Writes objects into its own packs, and makes them visible all at once. If an object exists
 * already, the session compares it with the new bytes. It relies on an intact object, and writes a
 * damaged one again. If garbage collection removes an object that the session relies on before the
 * commit, the session copies it from the old pack, which exists for as long as somebody writes.
 *
 * A session has to be created while its owner holds the writers' lock, and ended by `close`.
 */
export class WriteSession implements WritableObjects {
  readonly #store: PackedStore;
  readonly #durability: "strict" | "relaxed";
  readonly #relied = new Reliance();
  /**
   * Records that garbage collection removed during this session. Their packs still exist. Objects
   * that the session relies on may refer to objects in them: a blob to its chunks, a directory to
   * everything below it.
   */
  readonly #departed = new Set<IndexRecord>();
  readonly #endDeparture: () => void;
  readonly #isCommitted = (record: IndexRecord, entry: number): boolean =>
    record.writer === this || (record.alive && !record.missing && !this.#replaced.has(record) && !this.#distrust.has(entry));
  readonly #isVisible = (record: IndexRecord, entry: number): boolean =>
    this.#isCommitted(record, entry) ||
    (!this.#distrust.has(entry) && (this.#relied.has(entry) || (this.#departed.has(record) && !this.#replaced.has(record))));
  readonly #distrust: Distrust;
  readonly #compares: boolean;
  #replaced: ReadonlySet<IndexRecord>;
  readonly #packs: SessionPacks;
  /** Whether a commit was tried whose outcome is unknown. */
  #isUnclear = false;
  #hasTried = false;
  /** The last of the calls that touch packs; they run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  constructor(
    store: PackedStore,
    { durability, replaces = new Set(), distrusts = new EntrySet(), compares = true }: SessionOptions,
  ) {
    this.#store = store;
    this.#replaced = replaces;
    this.#distrust = new Distrust(store, this, distrusts);
    this.#durability = durability;
    this.#compares = compares;
    // The next call of this session rejects with the error of a pack.
    this.#packs = new SessionPacks(store, this, durability, (error) => {
      this.#failure ??= { error };
    });
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
    await this.#writtenOut(locations);
    const { open } = this.#packs;
    if (!open || !locations.some((location) => location?.record === open)) return this.#store.readLocations(locations);
    return this.#exclusively(async () => {
      await this.#packs.flush();
      // The pack may have ended during the wait.
      await this.#writtenOut(locations);
      const isOpen = (record: IndexRecord): boolean => record === this.#packs.open;
      const found = await this.#store.readLocations(
        locations.map((location) => (location && !isOpen(location.record) ? location : undefined)),
      );
      for (const [i, location] of locations.entries()) {
        if (location && isOpen(location.record)) found[i] = await this.#packs.readOpen(location);
      }
      return found;
    });
  }

  write(objects: readonly NewObject[]): Promise<void> {
    return this.#exclusively(async () => {
      const existing: { entry: number; object: NewObject }[] = [];
      for (const object of objects) {
        const entry = this.#find(object.kind, object.digest);
        if (entry !== NONE) {
          if (this.#compares && !this.#distrust.isTrusted(entry)) existing.push({ entry, object });
          continue;
        }
        const appended = this.#packs.append(object.kind, object.digest, object.bytes);
        if (appended) await appended;
      }
      for (let pending = existing; pending.length > 0; ) {
        await this.#distrust.compare(pending);
        // If an object is damaged, the index may have it elsewhere too.
        const others: typeof existing = [];
        for (const { object } of pending) {
          const entry = this.#find(object.kind, object.digest);
          if (entry === NONE) await this.#packs.append(object.kind, object.digest, object.bytes);
          else if (!this.#distrust.isTrusted(entry)) others.push({ entry, object });
        }
        pending = others;
      }
      await this.#packs.settle();
    });
  }

  /**
   * Makes everything that was written since the last commit visible, together with the effects of
   * `change`. One transaction does both; it is complete when this resolves. All packs are written
   * out before it, and flushed if durability is `strict`. If this rejects, nothing is visible,
   * unless the database connection was lost while the transaction was running (`mayHaveCommitted`).
   *
   * @param names the object stores that `change` uses
   * @param pathInfos path infos that `change` puts, for the trailers of the packs
   */
  commit(
    names: readonly StoreName[],
    change: (transaction: WriteTransaction) => Promise<void>,
    pathInfos: Iterable<PathInfo> | AsyncIterable<PathInfo> = [],
  ): Promise<void> {
    return this.#exclusively(async () => {
      await this.#packs.notePathInfos(pathInfos);
      let trim: Trim | undefined;
      for (;;) {
        const last = this.#packs.open;
        await this.#packs.end("now");
        await this.#packs.finished();
        if (this.#failure) throw this.#failure.error;
        if (await this.#lostPacks(last)) {
          await this.#rescue();
          continue;
        }
        trim = this.#distrust.trim(this.#isCommitted);
        this.#isUnclear = true;
        this.#hasTried = true;
        const gone = await this.#publish(names, change, trim);
        this.#isUnclear = false;
        if (!gone) break;
        await this.#store.refresh();
        this.#distrust.addMoved();
        await this.#rescue();
      }
      this.#distrust.addOwn(this.#packs.ended);
      this.#packs.adopt();
      for (const { key } of this.#replaced) this.#store.drop(key);
      this.#replaced = new Set();
      this.#relied.clear();
      if (trim) await this.#store.refresh();
    });
  }

  /** Ends the session, and deletes everything that was not committed. */
  async close(): Promise<void> {
    await this.#turn.catch(() => {});
    this.#endDeparture();
    this.#failure ??= { error: new StoreError("closed", "the write session has ended") };
    // The last commit may have succeeded. A sweep finds out, because it reads the database first.
    if (this.#isUnclear) this.#store.wantSweep();
    try {
      await this.#packs.discard(this.#isUnclear);
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

  /** Waits for the packs among `locations` that are not written out yet. */
  async #writtenOut(locations: Parameters<SessionPacks["underWay"]>[0]): Promise<void> {
    for (let waiting = this.#packs.underWay(locations); waiting.length > 0; waiting = this.#packs.underWay(locations))
      await Promise.all(waiting);
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
      const packs = [...this.#packs.ended, ...relied].flatMap((record) =>
        record !== last && record.storage === storage && record.size > 0 ? [record.pack] : [],
      );
      if (packs.length === 0) continue;
      for (const pack of await this.#store.packStore({ storage }).missing([...new Set(packs)])) missing.add(pack);
    }
    if (missing.size === 0) return false;
    if (this.#packs.ended.some(({ pack }) => missing.has(pack))) throw new StoreError("unavailable", FILES_CLEARED);
    // If these packs are gone, packs that their objects refer to may be gone too.
    await this.#store.missingPacks();
    return relied.some((record) => record.missing);
  }

  /**
   * Commits in one transaction.
   *
   * @param trim removal of damaged entries, written in the same transaction
   * @returns true if the index no longer has a record that the session relies on, or that `trim`
   *   changes; then nothing was written
   */
  async #publish(
    names: readonly StoreName[],
    change: (transaction: WriteTransaction) => Promise<void>,
    trim: Trim | undefined,
  ): Promise<boolean> {
    const needed = [...this.#relied.records(), ...(trim?.records ?? [])];
    const replaced = [...this.#replaced];
    return this.#store.database.write(
      [...new Set<StoreName>(["packs", "meta", ...names])],
      this.#durability,
      async (transaction) => {
        const packs = transaction.objectStore("packs");
        const keys = await Promise.all(needed.map(({ key }) => packs.getKey(key)));
        if (keys.includes(undefined)) return true;
        for (const { key, pack } of replaced)
          if ((await packs.getKey(key)) === undefined) throw new PackGone(pack, "was repaired by another tab meanwhile");
        if (this.#packs.ended.length > 0 || this.#replaced.size > 0)
          await changeRecords(
            transaction,
            this.#packs.records(),
            replaced.map(({ key }) => key),
          );
        if (trim) {
          await trim.write(transaction);
          // A collection that read the records before must not write them again.
          await increment(transaction, "roots");
        }
        await change(transaction);
        return false;
      },
    );
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
      const bytes = await readGone(this.#store, kind, digest);
      await this.#packs.append(kind, digest, bytes);
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
}
