import { describe, expect, test } from "vitest";
import { digestOf } from "../../src/castore/digest.ts";
import { isStoreError } from "../../src/error.ts";
import type { PackRecord } from "../../src/worker/database.ts";
import { BLOB, CHUNK, DIRECTORY, MAX_OBJECT_LENGTH, type ObjectKind } from "../../src/worker/object-table.ts";
import { ENTRY_LENGTH, EntryWriter, type PackEntry, readEntries } from "../../src/worker/pack-entries.ts";
import { pseudoRandom } from "../conformance/content.ts";

function entry(seed: number, kind: ObjectKind, offset: number, length: number): PackEntry {
  return { digest: digestOf(pseudoRandom(40, seed)), kind, offset, length };
}

const ENTRIES = [
  entry(1, CHUNK, 0, 10),
  entry(2, DIRECTORY, 10, 0),
  entry(3, BLOB, 10, 90),
  entry(4, CHUNK, 2 ** 32 - 1, 0),
  entry(5, BLOB, 2 ** 31, MAX_OBJECT_LENGTH),
];

function recordOf(entries: readonly PackEntry[], size = 2 ** 33): PackRecord {
  const writer = new EntryWriter(entries.length);
  for (const each of entries) writer.add(each);
  return { pack: "p", storage: "opfs", size, entries: writer.bytes };
}

function read(record: PackRecord): PackEntry[] {
  const found: PackEntry[] = [];
  readEntries("key", record, (digest, kind, offset, length) => found.push({ digest: digest.slice(), kind, offset, length }));
  return found;
}

function code(record: unknown): unknown {
  try {
    read(record as PackRecord);
  } catch (error) {
    return isStoreError(error) ? error.code : error;
  }
  return "no error";
}

test("entries are read back unchanged, from 40 bytes each, from a view too", () => {
  const record = recordOf(ENTRIES);
  expect(record.entries.length).toBe(40 * ENTRIES.length);
  expect(ENTRY_LENGTH).toBe(40);
  const expected = ENTRIES.map(({ digest, ...where }) => ({ digest: new Uint8Array(digest), ...where }));
  expect(read(record)).toEqual(expected);
  const shifted = new Uint8Array(record.entries.length + 9);
  shifted.set(record.entries, 7);
  expect(read({ ...record, entries: shifted.subarray(7, 7 + record.entries.length) })).toEqual(expected);
  // Digest, offset, and length with the kind in its top bits, little-endian.
  expect([...record.entries.subarray(80 + 32, 120)]).toEqual([10, 0, 0, 0, 90, 0, 0, 0x80]);
});

describe("a damaged record is corrupt", () => {
  const good = recordOf(ENTRIES.slice(0, 3), 100);
  const damaged: [string, unknown][] = [
    ["cut within an entry", { ...good, entries: good.entries.subarray(0, 79) }],
    ["without entries", { ...good, entries: undefined }],
    ["entries that are no bytes", { ...good, entries: "abc" }],
    ["entries of another type", { ...good, entries: new Uint16Array(40) }],
    ["a size that is none", { ...good, size: Number.NaN }],
    ["no size", { ...good, size: undefined }],
    ["an entry beyond the end", recordOf([entry(1, CHUNK, 90, 11)], 100)],
    ["an offset beyond the end", recordOf([entry(1, CHUNK, 101, 0)], 100)],
    ["an unknown kind", { ...good, entries: good.entries.map((byte, i) => (i === 39 ? byte | 0xc0 : byte)) }],
  ];
  test.each(damaged)("%s", (_, record) => {
    expect(code(record)).toBe("corrupt");
  });
  test("an undamaged record is not corrupt", () => {
    expect(code(good)).toBe("no error");
  });
});
