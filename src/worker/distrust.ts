import { equalBytes } from "../bytes.ts";
import { EntrySet } from "./entry-set.ts";
import { NONE } from "./object-table.ts";
import type { NewObject } from "./object-view.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";
import { PackGone } from "./storage-error.ts";
import { Trim } from "./trim.ts";

/**
 * The entries that a session knows to be damaged. The session writes the objects of these entries
 * again, and its commit removes the entries.
 */
export class Distrust {
  readonly #store: PackedStore;
  readonly #session: object;
  readonly #damaged: EntrySet;
  /** Entries that other sessions wrote, and that this session has found intact. */
  readonly #compared = new EntrySet();
  /** Records that the session committed. */
  readonly #own = new Set<IndexRecord>();

  /**
   * @param session the `writer` of the session's records
   * @param damaged entries that are known to be damaged
   */
  constructor(store: PackedStore, session: object, damaged: EntrySet) {
    this.#store = store;
    this.#session = session;
    this.#damaged = damaged;
  }

  has(entry: number): boolean {
    return this.#damaged.has(entry);
  }

  /** Whether the session has written the entry, or found its bytes intact. */
  isTrusted(entry: number): boolean {
    const { record } = this.#store.table.location(entry);
    return record.writer === this.#session || this.#own.has(record) || this.#compared.has(entry);
  }

  /** Notes records that the session has just committed. */
  addOwn(records: Iterable<IndexRecord>): void {
    for (const record of records) this.#own.add(record);
  }

  /**
   * Compares stored objects with the bytes that they should have, and distrusts those that differ.
   */
  async compare(objects: readonly { readonly entry: number; readonly object: NewObject }[]): Promise<void> {
    const { table } = this.#store;
    const locations = objects.map(({ entry }) => table.location(entry));
    let stored: (Uint8Array | undefined)[];
    try {
      stored = await this.#store.readLocations(locations);
    } catch (error) {
      if (!(error instanceof PackGone)) throw error;
      // The pack is missing or cut short.
      const readable = objects.filter(({ entry }) => {
        if (table.location(entry).record.pack !== error.pack) return true;
        this.#damaged.add(entry);
        return false;
      });
      if (readable.length === objects.length) throw error;
      if (readable.length > 0) await this.compare(readable);
      return;
    }
    for (const [i, { entry, object }] of objects.entries()) {
      const bytes = stored[i];
      (bytes && equalBytes(bytes, object.bytes) ? this.#compared : this.#damaged).add(entry);
    }
  }

  /**
   * Also distrusts new copies of damaged entries. Another tab may have copied a damaged object into
   * a new pack. Call it after each change of the index.
   */
  addMoved(): void {
    const { table } = this.#store;
    const isNew = (record: IndexRecord): boolean => record.writer === this.#session;
    const isOther = (record: IndexRecord, entry: number): boolean =>
      record.alive && !this.isTrusted(entry) && !this.#damaged.has(entry);
    for (const entry of [...this.#damaged]) {
      const { kind } = table.location(entry);
      const find = (accept: typeof isOther): number => table.find(table.digest(entry), kind, accept);
      if (find(isNew) === NONE) continue;
      for (let other = find(isOther); other !== NONE; other = find(isOther)) this.#damaged.add(other);
    }
  }

  /**
   * Returns the change that removes damaged entries whose objects are stored elsewhere too.
   *
   * @param isGood whether an entry will be in the index after the commit, and is not distrusted
   * @returns `undefined` if there is nothing to remove
   */
  trim(isGood: (record: IndexRecord, entry: number) => boolean): Trim | undefined {
    const { table } = this.#store;
    const isReplaced = (entry: number): boolean =>
      this.#damaged.has(entry) && table.find(table.digest(entry), table.location(entry).kind, isGood) !== NONE;
    const records = new Set<IndexRecord>();
    for (const entry of this.#damaged) {
      const { record } = table.location(entry);
      if (record.alive && isReplaced(entry)) records.add(record);
    }
    return records.size === 0 ? undefined : new Trim(this.#store, [...records], (entry) => !isReplaced(entry));
  }
}
