import { DIGEST_LENGTH } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import { BLOB, CHUNK, DIRECTORY, MAX_OBJECT_LENGTH, type ObjectKind } from "./object-table.ts";

/**
 * Length of an entry in bytes. An entry is a digest, an offset (uint32), and a length with the kind
 * in its upper two bits (uint32). Numbers are little-endian.
 */
export const ENTRY_LENGTH: number = DIGEST_LENGTH + 8;
const KIND_SHIFT = 30;

/** An object of a pack, as its index record describes it. */
export interface PackEntry {
  readonly digest: Uint8Array;
  readonly kind: ObjectKind;
  readonly offset: number;
  readonly length: number;
}

/** The fields of an index record that describe the pack. */
export interface PackIndex {
  /** Entries, one after the other without gaps. */
  readonly entries: Uint8Array;
  /** Length of the pack in bytes. */
  readonly size: number;
}

/** Writes the entries of one index record. */
export class EntryWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  /** @param count total number of entries that will be added */
  constructor(count: number) {
    this.bytes = new Uint8Array(count * ENTRY_LENGTH);
    this.#view = new DataView(this.bytes.buffer);
  }

  add({ digest, kind, offset, length }: PackEntry): void {
    this.bytes.set(digest, this.#at);
    this.#view.setUint32(this.#at + DIGEST_LENGTH, offset, true);
    this.#view.setUint32(this.#at + DIGEST_LENGTH + 4, length | (kind << KIND_SHIFT), true);
    this.#at += ENTRY_LENGTH;
  }
}

/**
 * Calls `entry` for each entry of an index record or of a trailer. Each digest is a view of
 * `record.entries`.
 *
 * @param what names the record in the error
 * @throws StoreError `corrupt` if the record is malformed, or names bytes beyond the end of its
 *   pack
 */
export function readEntries(
  what: string,
  record: PackIndex,
  entry: (digest: Uint8Array, kind: ObjectKind, offset: number, length: number) => void,
): void {
  const { entries, size } = record;
  const broken = (): StoreError => new StoreError("corrupt", `${what} is damaged`);
  if (!(entries instanceof Uint8Array) || entries.length % ENTRY_LENGTH !== 0 || !Number.isSafeInteger(size)) throw broken();
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  for (let at = 0; at < entries.length; at += ENTRY_LENGTH) {
    const offset = view.getUint32(at + DIGEST_LENGTH, true);
    const word = view.getUint32(at + DIGEST_LENGTH + 4, true);
    const kind = word >>> KIND_SHIFT;
    const length = word & MAX_OBJECT_LENGTH;
    if ((kind !== CHUNK && kind !== DIRECTORY && kind !== BLOB) || offset + length > size) throw broken();
    entry(entries.subarray(at, at + DIGEST_LENGTH), kind, offset, length);
  }
}
