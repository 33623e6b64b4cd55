import {
  checkObjectKey,
  type GetObjectOptions,
  type ObjectGroup,
  type ObjectInfo,
  type ObjectStore,
  type ObjectStoreOptions,
  type PutObjectOptions,
  partOfObject,
} from "../../castore/object-store.ts";
import { StoreError } from "../../error.ts";
import { JournalDrain } from "./journal-drain.ts";
import type { ObjectJournal } from "./object-journal.ts";
import { StagedObjects } from "./staged-objects.ts";

/**
 * Milliseconds after the first staged object until the batch is written, even if it is not full.
 */
const IDLE = 1000;
/**
 * Limits for a batch that goes to the journal, in bytes: its total size, or the average size of its
 * objects. The journal's objects are written twice, which pays off only for small ones.
 */
const FEW_BYTES = 1024 * 1024;
const SMALL_OBJECT = 16 * 1024;

interface Writing {
  readonly batch: StagedObjects;
  readonly done: Promise<void>;
  /**
   * Whether this batch goes to the journal. If so, a later write to the same database survives a
   * crash only if this batch does.
   */
  readonly isOrdered: boolean;
}

/**
 * An ObjectStore that stages the objects of `putMany` in memory, and writes them to another
 * ObjectStore later, in batches. The caller need not wait for the disk or the network, and many
 * small files can be flushed together.
 *
 * Objects can be read as soon as they are put. Call `flush` before you publish a reference to an
 * object. If there is a journal, small objects are first flushed to the journal. They are written
 * to the other store when no new objects come or the journal is half full.
 */
export class StagedObjectStore implements ObjectStore {
  readonly #name: string;
  readonly #target: ObjectStore;
  readonly #journal: ObjectJournal | undefined;
  readonly #drain: JournalDrain | undefined;
  #staged = new StagedObjects();
  #writing: Writing | undefined;
  /** Whether the last write failed. Its objects are then still in memory. */
  #failing = false;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param name name of the store for messages, such as its directory
   * @param target the store that the objects are written to; no other code of this process may
   *   write to it
   * @param journal a journal that only this object store uses
   */
  constructor(name: string, target: ObjectStore, journal?: ObjectJournal) {
    this.#name = name;
    this.#target = target;
    this.#journal = journal;
    this.#drain = journal && new JournalDrain(journal, target);
  }

  async get(key: string, options: GetObjectOptions): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    checkObjectKey(key);
    const bytes = this.#inMemory(key) ?? this.#journal?.get(key);
    if (!bytes) return this.#target.get(key, options);
    const { offset, length } = partOfObject(key, bytes.length, options);
    return bytes.slice(offset, offset + length);
  }

  async has(key: string, options: ObjectStoreOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    checkObjectKey(key);
    return this.#isUnderWay(key) || this.#target.has(key, options);
  }

  /** Flushes, and then writes the object to the other store. */
  async put(key: string, bytes: Uint8Array, options: PutObjectOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    this.#checkOpen();
    checkObjectKey(key);
    await this.flush();
    if (this.#journal?.has(key)) {
      if (options.ifAbsent) return false;
      // An object of the journal would replace this one later.
      await this.#drain?.empty();
    }
    return this.#target.put(key, bytes, options);
  }

  /**
   * Resolves when the objects can be read. They survive a crash when `flush` resolves. An object of
   * group i is written after all objects of groups 0 to i - 1 that were put earlier, in this call
   * or in another call.
   *
   * @throws StoreError `quota`, `denied` or `unavailable` if earlier puts can't be written; then
   *   nothing of this put is kept
   */
  async putMany(groups: readonly ObjectGroup[], options: ObjectStoreOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.#checkOpen();
    for (const group of groups) for (const key of group.keys()) checkObjectKey(key);
    // The memory for staged objects must not grow while the disk is full or too slow.
    if (this.#failing) await this.#write();
    await this.#drain?.makeRoom();
    // `close` flushes the staged objects. Objects that are staged afterwards would never be
    // written.
    this.#checkOpen();
    // Another call may have put the same objects since the caller looked for them.
    for (const [i, group] of groups.entries())
      for (const [key, bytes] of group) if (!this.#isUnderWay(key)) this.#staged.add(i, key, bytes);
    if (this.#staged.isFull) {
      if (this.#writing) await this.#writing.done;
      // Don't await, so that the next batch fills while this one is written. If the write fails,
      // the next `putMany` or `flush` throws.
      if (this.#staged.isFull) this.#write().catch(() => {});
    } else if (this.#staged.count > 0) {
      this.#idle ??= setTimeout(() => this.#write().catch(() => {}), IDLE).unref();
    }
  }

  async *list(prefix: string, options: ObjectStoreOptions = {}): AsyncGenerator<ObjectInfo> {
    options.signal?.throwIfAborted();
    const sizes = this.#journal?.sizes(prefix) ?? new Map<string, number>();
    for (const { groups } of [this.#writing?.batch, this.#staged].filter((batch) => batch !== undefined))
      for (const group of groups) for (const [key, { length }] of group) if (key.startsWith(prefix)) sizes.set(key, length);
    const underWay = Array.from(sizes, ([key, size]) => ({ key, size })).sort((a, b) => (a.key < b.key ? -1 : 1));
    let next = 0;
    for await (const info of this.#target.list(prefix, options)) {
      for (; next < underWay.length; next++) {
        const own = underWay[next] as ObjectInfo;
        if (own.key >= info.key) break;
        yield own;
      }
      // An object may have reached the other store in the meantime.
      if (underWay[next]?.key === info.key) next++;
      yield info;
    }
    yield* underWay.slice(next);
  }

  /**
   * Resolves when everything that was put before survives a crash.
   *
   * @throws StoreError `quota`, `denied` or `unavailable` if it can't be written
   */
  async flush(): Promise<void> {
    // The running write may have begun before the last put. If it fails, its objects are written
    // again with the rest.
    if (this.#writing) await this.#writing.done.catch(() => {});
    await this.#write();
  }

  /**
   * Orders all earlier puts before later writes to the journal's database: if a later write
   * survives a crash, the earlier puts survive it too. If the earlier puts go to the journal,
   * `order` resolves before they are written. If they then can't be written, the order is not kept,
   * and a `flush` after the later write throws the failure. If the earlier puts don't go to the
   * journal, `order` waits until they are written, and rejects if they can't be.
   */
  async order(): Promise<void> {
    if (this.#writing) await this.#writing.done.catch(() => {});
    const write = this.#write();
    if (this.#writing?.isOrdered) write.catch(() => {});
    else await write;
  }

  /** Writes all objects to the other store, also those of the journal. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
    } finally {
      await this.#drain?.close();
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError("closed", `the object store ${this.#name} was closed`);
  }

  async #write(): Promise<void> {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (this.#writing) return this.#writing.done;
    if (this.#staged.count === 0) return;
    const batch = this.#staged;
    this.#staged = new StagedObjects();
    const journal = isSmall(batch) ? this.#journal : undefined;
    const done = (journal ? journal.add(batch.groups) : this.#target.putMany(batch.groups)).then(
      () => {
        this.#writing = undefined;
        this.#failing = false;
        this.#drain?.schedule();
      },
      (error) => {
        this.#writing = undefined;
        this.#failing = true;
        // Stage the objects again for a retry: `putMany` has promised that they can be read.
        this.#staged = new StagedObjects(batch, this.#staged);
        throw error;
      },
    );
    this.#writing = { batch, done, isOrdered: journal !== undefined };
    return done;
  }

  /** Whether the object can be read from memory or the journal. */
  #isUnderWay(key: string): boolean {
    return this.#inMemory(key) !== undefined || (this.#journal?.has(key) ?? false);
  }

  #inMemory(key: string): Uint8Array | undefined {
    return this.#staged.get(key) ?? this.#writing?.batch.get(key);
  }
}

function isSmall({ bytes, count }: StagedObjects): boolean {
  return bytes <= FEW_BYTES || bytes <= count * SMALL_OBJECT;
}
