import type { PackRecord, WriteTransaction } from "./database.ts";
import { changeRecords } from "./index-records.ts";
import { EntryWriter } from "./pack-entries.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";

/** Replacement of an index record. */
interface TrimmedRecord {
  readonly key: string;
  readonly entries: EntryWriter;
  readonly count: number;
  readonly bytes: number;
}

/** Index records from which some objects are removed. */
export class Trim {
  readonly #records = new Map<IndexRecord, TrimmedRecord>();

  /**
   * @param keeps whether an entry stays; entries of records that are not in `records` stay in any
   *   case
   */
  constructor(store: PackedStore, records: readonly IndexRecord[], keeps: (entry: number) => boolean) {
    const { table } = store;
    const kept = new Map(records.map((record) => [record, { count: 0, bytes: 0 }]));
    const each = (visit: (entry: number, record: IndexRecord, length: number) => void): void => {
      for (let entry = 0; entry < table.count; entry++) {
        const { record, length } = table.location(entry);
        if (record.alive && keeps(entry)) visit(entry, record, length);
      }
    };
    each((_, record, length) => {
      const counted = kept.get(record);
      if (!counted) return;
      counted.count++;
      counted.bytes += length;
    });
    for (const [record, { count, bytes }] of kept) {
      // A record that could not be read completely stays. `verify` reports it.
      if (count === record.count || record.damaged) continue;
      this.#records.set(record, { key: crypto.randomUUID(), entries: new EntryWriter(count), count, bytes });
    }
    each((entry, record) => {
      this.#records.get(record)?.entries.add({ digest: table.digest(entry), ...table.location(entry) });
    });
  }

  /** The records from which objects are removed. */
  get records(): Iterable<IndexRecord> {
    return this.#records.keys();
  }

  /** Number of objects that are removed. */
  get objects(): number {
    return this.#sum("count");
  }

  get bytes(): number {
    return this.#sum("bytes");
  }

  #sum(what: "count" | "bytes"): number {
    let sum = 0;
    for (const [record, trimmed] of this.#records) sum += record[what] - trimmed[what];
    return sum;
  }

  /** Replaces the records by the trimmed ones. */
  async write(transaction: WriteTransaction): Promise<void> {
    const kept = [...this.#records].filter(([, { count }]) => count > 0);
    await changeRecords(
      transaction,
      kept.map(([{ pack, storage, size, trailer }, { key, entries }]): [string, PackRecord] => [
        key,
        { pack, storage, size, trailer, entries: entries.bytes },
      ]),
      [...this.#records.keys()].map(({ key }) => key),
    );
  }
}
