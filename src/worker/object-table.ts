import { DIGEST_LENGTH, type Digest } from "../castore/digest.ts";

/** What an object in a pack is. The numbers are part of the format (docs/storage.md). */
export const CHUNK = 0;
/** A serialized Directory. */
export const DIRECTORY = 1;
/** What is known of a blob of several chunks: its chunk list and its outboard. */
export const BLOB = 2;
export type ObjectKind = typeof CHUNK | typeof DIRECTORY | typeof BLOB;

/** Where an object's bytes are. */
export interface ObjectLocation<R> {
  readonly record: R;
  readonly kind: ObjectKind;
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
}

/** What a table asks of a record. */
export interface TableRecord {
  /** Whether its objects are in the index. */
  alive: boolean;
  /** Whether the pack that they lie in is known to be missing or cut short. */
  missing?: boolean;
}

/** No object. */
export const NONE = -1;

/** Of an entry, in 32-bit words: the digest, the record's number, the offset, and the length with the kind in its upper two bits. */
const DIGEST_WORDS = DIGEST_LENGTH / 4;
const RECORD = DIGEST_WORDS;
const OFFSET = RECORD + 1;
const LENGTH = OFFSET + 1;
const WORDS = LENGTH + 1;
const LENGTH_BITS = 30;
/** Objects are shorter than this. */
export const MAX_OBJECT_LENGTH: number = 2 ** LENGTH_BITS - 1;

/** Entries live in segments, so that growth never copies them. */
const SEGMENT_BITS = 12;
const SEGMENT = 1 << SEGMENT_BITS;
/** The table of slots grows when more than this part of it is taken. */
const MAX_LOAD = 0.7;
const MIN_SLOTS = 1024;

/**
 * Finds objects by digest and kind: 44 bytes an object and 6 to 12 for the hash table, all of it outside of the garbage collector's
 * sight. An object may be there more than once, in several records; when one is dropped, the others still count. Entries have numbers, in the
 * order in which they were added, that stay.
 */
export class ObjectTable<R extends TableRecord> {
  readonly #records: R[] = [];
  readonly #numbers = new Map<R, number>();
  readonly #segments: Uint32Array[] = [];
  #count = 0;
  /** Numbers of entries, plus one. */
  #slots = new Uint32Array(MIN_SLOTS);
  /** A digest that is looked for, as words. */
  readonly #key = new Uint32Array(DIGEST_WORDS);
  readonly #keyBytes = new Uint8Array(this.#key.buffer);

  /** Entries, also those of dead records. */
  get count(): number {
    return this.#count;
  }

  /** @param length at most `MAX_OBJECT_LENGTH` */
  add(digest: Uint8Array, kind: ObjectKind, record: R, offset: number, length: number): void {
    if ((this.#count + 1) / this.#slots.length > MAX_LOAD) this.#grow();
    const index = this.#count & (SEGMENT - 1);
    if (index === 0) this.#segments.push(new Uint32Array(SEGMENT * WORDS));
    const words = this.#segments[this.#count >> SEGMENT_BITS] as Uint32Array;
    const at = index * WORDS;
    this.#keyBytes.set(digest);
    words.set(this.#key, at);
    words[at + RECORD] = this.#number(record);
    words[at + OFFSET] = offset;
    words[at + LENGTH] = length | (kind << LENGTH_BITS);
    this.#insert(words[at] as number, this.#count++);
  }

  /**
   * The number of the first entry whose record `accept` takes; `NONE` if there is none. By default the first of those that are alive and
   * not missing, or else of those that are alive.
   */
  find(digest: Digest, kind: ObjectKind, accept?: (record: R, entry: number) => boolean): number {
    const key = this.#key;
    this.#keyBytes.set(digest);
    const mask = this.#slots.length - 1;
    let missing = NONE;
    for (let slot = (key[0] as number) & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.#slots[slot] as number) - 1;
      if (entry < 0) return missing;
      const words = this.#segments[entry >> SEGMENT_BITS] as Uint32Array;
      const at = (entry & (SEGMENT - 1)) * WORDS;
      if (words[at] !== key[0] || words[at + 1] !== key[1] || (words[at + LENGTH] as number) >>> LENGTH_BITS !== kind) continue;
      let word = 2;
      while (word < DIGEST_WORDS && words[at + word] === key[word]) word++;
      if (word < DIGEST_WORDS) continue;
      const record = this.#records[words[at + RECORD] as number] as R;
      if (accept) {
        if (accept(record, entry)) return entry;
      } else if (record.alive) {
        if (!record.missing) return entry;
        if (missing === NONE) missing = entry;
      }
    }
  }

  location(entry: number): ObjectLocation<R> {
    const words = this.#segments[entry >> SEGMENT_BITS] as Uint32Array;
    const at = (entry & (SEGMENT - 1)) * WORDS;
    const length = words[at + LENGTH] as number;
    return {
      record: this.#records[words[at + RECORD] as number] as R,
      kind: (length >>> LENGTH_BITS) as ObjectKind,
      offset: words[at + OFFSET] as number,
      length: length & MAX_OBJECT_LENGTH,
    };
  }

  /** A view: 32 bytes. */
  digest(entry: number): Digest {
    const words = this.#segments[entry >> SEGMENT_BITS] as Uint32Array<ArrayBuffer>;
    return new Uint8Array(words.buffer, (entry & (SEGMENT - 1)) * WORDS * 4, DIGEST_LENGTH) as Digest;
  }

  /** The table without the entries of dead records, which have other numbers therefore. */
  compacted(): ObjectTable<R> {
    const table = new ObjectTable<R>();
    for (let entry = 0; entry < this.#count; entry++) {
      const { record, kind, offset, length } = this.location(entry);
      if (record.alive) table.add(this.digest(entry), kind, record, offset, length);
    }
    return table;
  }

  #number(record: R): number {
    const known = this.#numbers.get(record);
    if (known !== undefined) return known;
    const number = this.#records.push(record) - 1;
    this.#numbers.set(record, number);
    return number;
  }

  #insert(hash: number, entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let entry = 0; entry < this.#count; entry++) {
      const words = this.#segments[entry >> SEGMENT_BITS] as Uint32Array;
      this.#insert(words[(entry & (SEGMENT - 1)) * WORDS] as number, entry);
    }
  }
}
