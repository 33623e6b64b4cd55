import { describe, expect, test } from "vitest";
import { equalBytes } from "../../src/bytes.ts";
import { asDigest, type Digest } from "../../src/castore/digest.ts";
import { BLOB, CHUNK, DIRECTORY, MAX_OBJECT_LENGTH, NONE, type ObjectKind, ObjectTable } from "../../src/worker/object-table.ts";

interface TestRecord {
  readonly name: string;
  alive: boolean;
}

const record = (name: string, alive = true): TestRecord => ({ name, alive });

/** Returns `count` digests of a generator with a period of 2 ** 64. */
function randomDigests(count: number, seed: bigint): Digest[] {
  const words = new BigUint64Array(4 * count);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let word = state;
    word = BigInt.asUintN(64, (word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n);
    word = BigInt.asUintN(64, (word ^ (word >> 27n)) * 0x94d049bb133111ebn);
    words[i] = word ^ (word >> 31n);
  }
  const bytes = new Uint8Array(words.buffer);
  return Array.from({ length: count }, (_, i) => asDigest(bytes.slice(i * 32, i * 32 + 32)));
}

function digestOfWords(...words: number[]): Digest {
  const all = new Uint32Array(8);
  all.set(words);
  return asDigest(new Uint8Array(all.buffer));
}

const KINDS: readonly ObjectKind[] = [CHUNK, DIRECTORY, BLOB];

test("200,000 objects are found with their locations, and no others", () => {
  const COUNT = 200_000;
  const digests = randomDigests(COUNT, 1n);
  const records = Array.from({ length: 100 }, (_, i) => record(`r${i}`));
  const table = new ObjectTable<TestRecord>();
  const kindOf = (i: number): ObjectKind => KINDS[i % 3] as ObjectKind;
  for (const [i, digest] of digests.entries()) {
    table.add(digest, kindOf(i), records[i % 100] as TestRecord, i * 7, i % (MAX_OBJECT_LENGTH + 1));
  }
  expect(table.count).toBe(COUNT);
  for (const [i, digest] of digests.entries()) {
    const entry = table.find(digest, kindOf(i));
    const { record, kind, offset, length } = table.location(entry);
    // One `expect` per object would take a minute.
    if (
      entry !== i ||
      record !== records[i % 100] ||
      kind !== kindOf(i) ||
      offset !== i * 7 ||
      length !== i ||
      !equalBytes(table.digest(entry), digest)
    )
      throw new Error(`object ${i} was found as ${entry} at ${offset}, ${length} long`);
    if (table.find(digest, kindOf(i + 1)) !== NONE) throw new Error(`object ${i} was found as another kind`);
  }
  for (const digest of randomDigests(20_000, 2n)) {
    for (const kind of KINDS) if (table.find(digest, kind) !== NONE) throw new Error("a digest was found that was not added");
  }
});

test("the largest possible offset and length are kept, for every kind", () => {
  const table = new ObjectTable<TestRecord>();
  const [digest] = randomDigests(1, 3n) as [Digest];
  const owner = record("owner");
  for (const kind of KINDS) table.add(digest, kind, owner, 2 ** 32 - 1, MAX_OBJECT_LENGTH);
  for (const [i, kind] of KINDS.entries()) {
    expect(table.find(digest, kind)).toBe(i);
    expect(table.location(i)).toEqual({ record: owner, kind, offset: 2 ** 32 - 1, length: MAX_OBJECT_LENGTH });
  }
});

test("digests that differ in one word are distinguished, also in the same slot of the hash table", () => {
  const table = new ObjectTable<TestRecord>();
  const owner = record("owner");
  const digests = [digestOfWords(5)];
  for (let word = 1; word < 8; word++) {
    const words = new Array<number>(8).fill(0);
    words[0] = 5;
    words[word] = 1;
    digests.push(digestOfWords(...words));
  }
  // These fall into the same slot in a table of any size up to 2 ** 16.
  for (let i = 1; i < 500; i++) digests.push(digestOfWords(5 + i * 2 ** 16));
  for (const [i, digest] of digests.entries()) table.add(digest, CHUNK, owner, i, 1);
  for (const [i, digest] of digests.entries()) expect(table.find(digest, CHUNK)).toBe(i);
  expect(table.find(digestOfWords(5, 0, 0, 0, 0, 0, 0, 2), CHUNK)).toBe(NONE);
});

test("a digest may be a view at an odd offset", () => {
  const table = new ObjectTable<TestRecord>();
  const [digest] = randomDigests(1, 4n) as [Digest];
  const shifted = new Uint8Array(40);
  shifted.set(digest, 3);
  table.add(shifted.subarray(3, 35), CHUNK, record("owner"), 0, 1);
  expect(table.find(digest, CHUNK)).toBe(0);
  expect(table.find(asDigest(shifted.subarray(3, 35)), CHUNK)).toBe(0);
});

describe("an object in several records", () => {
  const digests = randomDigests(2000, 5n);
  const [first, second, third] = [record("first"), record("second"), record("third")];
  const table = new ObjectTable<TestRecord>();
  for (const owner of [first, second, third]) {
    for (const [i, digest] of digests.entries()) table.add(digest, CHUNK, owner, i, 1);
  }
  const owners = (): Set<string> => new Set(digests.map((digest) => table.location(table.find(digest, CHUNK)).record.name));

  test("is found in the first record that is alive", () => {
    expect(owners()).toEqual(new Set(["first"]));
    first.alive = false;
    expect(owners()).toEqual(new Set(["second"]));
    second.alive = false;
    third.alive = false;
    expect(digests.every((digest) => table.find(digest, CHUNK) === NONE)).toBe(true);
    first.alive = true;
    second.alive = true;
    third.alive = true;
    expect(owners()).toEqual(new Set(["first"]));
  });

  test("is passed to `accept` for each record, dead ones too", () => {
    second.alive = false;
    const seen: [string, number][] = [];
    const entry = table.find(digests[7] as Digest, CHUNK, (owner, number) => {
      seen.push([owner.name, number]);
      return owner === third;
    });
    expect(seen).toEqual([
      ["first", 7],
      ["second", 2007],
      ["third", 4007],
    ]);
    expect(entry).toBe(4007);
    expect(table.find(digests[7] as Digest, CHUNK, () => false)).toBe(NONE);
    second.alive = true;
  });

  test("keeps its live records in a compacted table, in their order", () => {
    first.alive = false;
    const small = table.compacted();
    expect(small.count).toBe(4000);
    for (const [i, digest] of digests.entries()) {
      const entry = small.find(digest, CHUNK);
      expect([entry, small.location(entry).record.name, small.location(entry).offset]).toEqual([i, "second", i]);
    }
    const alive: number[] = [];
    small.find(digests[7] as Digest, CHUNK, (_, entry) => {
      alive.push(entry);
      return false;
    });
    expect(alive).toEqual([7, 2007]);
    first.alive = true;
    // A compacted table never has the dropped records, even if they become alive again.
    expect(small.location(small.find(digests[7] as Digest, CHUNK)).record.name).toBe("second");
    expect(table.location(table.find(digests[7] as Digest, CHUNK)).record.name).toBe("first");
  });
});

test("an object takes at most 56 bytes, in arrays of numbers", () => {
  const COUNT = 200_000;
  const digests = randomDigests(COUNT, 6n);
  const owner = record("owner");
  const made: number[] = [];
  const Original = globalThis.Uint32Array;
  globalThis.Uint32Array = new Proxy(Original, {
    construct(target, args) {
      const array: Uint32Array = Reflect.construct(target, args);
      made.push(array.byteLength);
      return array;
    },
  });
  let table: ObjectTable<TestRecord>;
  try {
    table = new ObjectTable<TestRecord>();
    for (const digest of digests) table.add(digest, CHUNK, owner, 0, 1);
  } finally {
    globalThis.Uint32Array = Original;
  }
  expect(table.count).toBe(COUNT);
  // All segments stay in use. Hash tables double in size, and only the last one stays in use.
  const segment = 4096 * 44;
  const segments = made.filter((length) => length === segment).length;
  expect(segments).toBe(Math.ceil(COUNT / 4096));
  const slots = Math.max(...made.filter((length) => length !== segment));
  expect(segments * segment + slots).toBeLessThan(56 * COUNT);
  expect(slots).toBeGreaterThan((4 * COUNT) / 0.8);
});
