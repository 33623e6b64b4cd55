import { DIGEST_LENGTH, type Digest } from "../castore/digest.ts";

/**
 * Kind of an object: a chunk of a blob, or a whole blob that is one chunk. The numbers of the kinds
 * are part of the format (docs/storage.md).
 */
export const CHUNK = 0;
/** Kind of an object: an encoded directory. */
export const DIRECTORY = 1;
/** Kind of an object: the chunk list and the outboard of a blob of several chunks. */
export const BLOB = 2;
export type ObjectKind = typeof CHUNK | typeof DIRECTORY | typeof BLOB;

/** Place of an object's bytes. */
export interface ObjectLocation<R> {
  readonly record: R;
  readonly kind: ObjectKind;
  /** Offset within the pack, and length, in bytes. */
  readonly offset: number;
  readonly length: number;
}

/** The properties of an index record that the table uses. */
export interface TableRecord {
  /** Whether its objects are in the index. */
  alive: boolean;
  /** Whether the pack that they lie in is known to be missing or cut short. */
  missing?: boolean;
}

/** Entry number that stands for no object. */
export const NONE = -1;

/**
 * Layout of an entry in 32-bit words: the digest, the number of the record, the offset, and the
 * length with the kind in its upper two bits.
 */
const DIGEST_WORDS = DIGEST_LENGTH / 4;
const RECORD = DIGEST_WORDS;
const OFFSET = RECORD + 1;
const LENGTH = OFFSET + 1;
const WORDS = LENGTH + 1;
const LENGTH_BITS = 30;
/** Maximum length of an object, in bytes. */
export const MAX_OBJECT_LENGTH: number = 2 ** LENGTH_BITS - 1;

/** Entries live in segments of 2^`SEGMENT_BITS`, so that growth never copies them. */
const SEGMENT_BITS = 12;
const SEGMENT = 1 << SEGMENT_BITS;
/** The hash table grows when more than this fraction of its slots is taken. */
const MAX_LOAD = 0.7;
const MIN_SLOTS = 1024;

/**
 * Finds objects by digest and kind. An object takes 44 bytes, and 6 to 12 bytes of the hash table;
 * JavaScript's garbage collector scans none of them.
 *
 * Several records may hold the same object; if one record is dropped, the others still count.
 * Entries have numbers, in the order in which they were added. The numbers never change.
 */
export class ObjectTable<R extends TableRecord> {
  readonly #records: R[] = [];
  readonly #numbers = new Map<R, number>();
  readonly #segments: Uint32Array[] = [];
  #count = 0;
  /** The hash table: numbers of entries plus one, or 0 for an empty slot. */
  #slots = new Uint32Array(MIN_SLOTS);
  /** Buffer for the digest that is being added or looked up, as words. */
  readonly #key = new Uint32Array(DIGEST_WORDS);
  readonly #keyBytes = new Uint8Array(this.#key.buffer);

  /** Number of entries, including entries of dead records. */
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
   * Finds the first entry whose record `accept` accepts. Without `accept`, finds the first entry of
   * a record that is alive and not missing, or else the first of a record that is alive.
   *
   * @returns the number of the entry, or `NONE`
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

  /** Digest of an entry, as a view of 32 bytes. */
  digest(entry: number): Digest {
    const words = this.#segments[entry >> SEGMENT_BITS] as Uint32Array<ArrayBuffer>;
    return new Uint8Array(words.buffer, (entry & (SEGMENT - 1)) * WORDS * 4, DIGEST_LENGTH) as Digest;
  }

  /**
   * Copies the table without the entries of dead records. Entries have other numbers in the copy.
   */
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
