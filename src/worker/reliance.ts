import { EntrySet } from "./entry-set.ts";
import type { IndexRecord } from "./packed-index.ts";

/** Entries that a session relies on, and their records. */
export class Reliance {
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
