import { describe, expect, test, vi } from "vitest";
import type { ByteRange } from "../../src/byte-range.ts";
import { equalBytes, utf8 } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import { IndexedDbPacks } from "../../src/worker/indexeddb-packs.ts";
import type { PackWriter } from "../../src/worker/pack-store.ts";
import { PackGone } from "../../src/worker/storage-error.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { MemoryDatabase, MemoryKeyRange } from "./memory-database.ts";
import { allSettled, failure } from "./memory-store.ts";

const MIB = 1024 * 1024;

function open(): { database: MemoryDatabase; packs: IndexedDbPacks } {
  vi.stubGlobal("IDBKeyRange", MemoryKeyRange);
  const database = new MemoryDatabase();
  return { database, packs: new IndexedDbPacks(database.asDatabase) };
}

async function write(packs: IndexedDbPacks, id: string, ...parts: readonly Uint8Array[]): Promise<void> {
  const writer = await packs.create(id);
  for (const part of parts) await writer.append(part);
  await writer.finish("now");
}

/** Whether a range has this content. An `expect` of a MiB takes a minute. */
async function reads(packs: IndexedDbPacks, range: ByteRange, content: Uint8Array): Promise<boolean> {
  const [bytes, ...more] = await packs.read("id", [range]);
  return bytes !== undefined && equalBytes(bytes, content) && more.length === 0;
}

/** Lengths of the segments of a pack, by their keys. */
const segments = (database: MemoryDatabase): [unknown, number][] =>
  database.rows("segments").map(([key, value]) => [key, (value as Uint8Array).length]);

describe("a pack is written in segments of a MiB", () => {
  test.each([
    ["less than one", [MIB - 1], [MIB - 1]],
    ["exactly one", [MIB - 1, 1], [MIB]],
    ["one byte more", [MIB, 1], [MIB, 1]],
    ["several in one part", [2 * MIB + 5, 0, 7], [MIB, MIB, 12]],
    ["none", [], []],
  ])("%s", async (_, lengths, expected) => {
    const { database, packs } = open();
    const parts = lengths.map((length, i) => pseudoRandom(length, i + 1));
    await write(packs, "id", ...parts);
    expect(segments(database)).toEqual(expected.map((length, i) => [["id", i], length]));
    let offset = 0;
    for (const part of parts) {
      expect(await reads(packs, { offset, length: part.length }, part)).toBe(true);
      offset += part.length;
    }
    if (expected.length > 0) expect(await packs.size("id")).toBe(offset);
    else expect(await failure(packs.size("id"))).toBe("corrupt");
  });

  test("at most four at a time", async () => {
    const { database, packs } = open();
    const held: (() => void)[] = [];
    const write = database.write.bind(database);
    database.write = async (...args) => {
      await new Promise<void>((resolve) => held.push(resolve));
      return write(...args);
    };
    const writer = await packs.create("id");
    const writing = writer.append(new Uint8Array(6 * MIB)).then(() => writer.finish("now"));
    await allSettled();
    expect(held).toHaveLength(4);
    held[3]?.();
    await vi.waitFor(() => expect(held).toHaveLength(5));
    for (let i = 0; i < 6; i++) {
      held[i]?.();
      await allSettled();
    }
    await writing;
    expect(segments(database)).toHaveLength(6);
  });
});

describe("a segment that can't be written", () => {
  async function failing(): Promise<{ writer: PackWriter; problem: StoreError; database: MemoryDatabase }> {
    const { database, packs } = open();
    const problem = new StoreError("quota", "no room");
    database.write = () => Promise.reject(problem);
    return { writer: await packs.create("id"), problem, database };
  }

  test("fails a later part, the end and a read", async () => {
    const { writer, problem } = await failing();
    await writer.append(new Uint8Array(MIB));
    await allSettled();
    await expect(writer.append(new Uint8Array(MIB))).rejects.toBe(problem);
    await expect(writer.read({ offset: 0, length: 1 })).rejects.toBe(problem);
    await expect(writer.finish("never")).rejects.toBe(problem);
  });

  test("fails the end, if it is the last one", async () => {
    const { writer, problem } = await failing();
    await writer.append(new Uint8Array(1));
    await expect(writer.finish("now")).rejects.toBe(problem);
  });
});

test("a pack can be read while it is written, across a border of segments", async () => {
  const { packs } = open();
  const writer = await packs.create("id");
  const content = pseudoRandom(MIB + 100, 3);
  await writer.append(content);
  expect(await writer.read({ offset: MIB - 10, length: 20 })).toEqual(content.subarray(MIB - 10, MIB + 10));
  expect(await writer.read({ offset: MIB + 99, length: 1 })).toEqual(content.subarray(MIB + 99));
  await expect(writer.read({ offset: MIB + 99, length: 2 })).rejects.toBeInstanceOf(PackGone);
  expect(await writer.read({ offset: MIB + 100, length: 0 })).toEqual(new Uint8Array(0));
});

test("an abort deletes the pack, after its writes", async () => {
  const { database, packs } = open();
  const writer = await packs.create("id");
  await writer.append(new Uint8Array(MIB + 1));
  await writer.abort();
  expect(segments(database)).toEqual([]);
});

describe("reading", () => {
  test("joins segments, and fails if one is cut short or missing", async () => {
    const { database, packs } = open();
    const content = pseudoRandom(3 * MIB, 4);
    await write(packs, "id", content);
    expect(await reads(packs, { offset: MIB - 1, length: MIB + 2 }, content.subarray(MIB - 1, 2 * MIB + 1))).toBe(true);
    packs.close();
    await database.put("segments", ["id", 2], content.subarray(2 * MIB, 3 * MIB - 1));
    expect(await packs.read("id", [{ offset: 3 * MIB - 2, length: 1 }])).toEqual([content.subarray(3 * MIB - 2, 3 * MIB - 1)]);
    const short: unknown = await packs.read("id", [{ offset: 3 * MIB - 2, length: 2 }]).catch((error: unknown) => error);
    expect(short).toBeInstanceOf(PackGone);
    expect(short).toMatchObject({ code: "corrupt", pack: "id" });
    await database.put("segments", ["id", 1], "no bytes");
    await expect(packs.read("id", [{ offset: MIB, length: 1 }])).rejects.toBeInstanceOf(PackGone);
    await database.put("segments", ["id", 2], "no bytes");
    await expect(packs.size("id")).rejects.toBeInstanceOf(PackGone);
  });

  test("keeps 16 segments in memory, and forgets those of a pack that is released or deleted", async () => {
    const { database, packs } = open();
    await write(packs, "a", pseudoRandom(16 * MIB, 5));
    await write(packs, "b", utf8("b"));
    const reads = async (id: string, number: number): Promise<number> => {
      database.transactions.length = 0;
      await packs.read(id, [{ offset: number * MIB, length: 1 }]);
      return database.transactions.length;
    };
    for (let i = 0; i < 16; i++) expect(await reads("a", i)).toBe(1);
    for (let i = 0; i < 16; i++) expect(await reads("a", i)).toBe(0);
    expect(await reads("b", 0)).toBe(1);
    expect(await reads("a", 1)).toBe(0);
    // Segment 0 was used least recently, so `b` has taken its place.
    expect(await reads("a", 0)).toBe(1);
    packs.release("a");
    expect(await reads("b", 0)).toBe(0);
    expect(await reads("a", 1)).toBe(1);
    await packs.delete("b");
    await expect(packs.read("b", [{ offset: 0, length: 1 }])).rejects.toBeInstanceOf(PackGone);
  });

  test("tries again after a failure, unless the segment was read again meanwhile", async () => {
    const { database, packs } = open();
    await write(packs, "a", utf8("content"));
    const read = database.read.bind(database);
    const problem = new StoreError("unavailable", "lost");
    const failing: ((error: unknown) => void)[] = [];
    database.read = () => new Promise((_, reject) => failing.push(reject));
    const range = { offset: 0, length: 1 };
    const first = packs.read("a", [range]);
    database.read = read;
    packs.release("a");
    expect(await packs.read("a", [range])).toEqual([utf8("c")]);
    failing[0]?.(problem);
    await expect(first).rejects.toBe(problem);
    database.transactions.length = 0;
    await packs.read("a", [range]);
    expect(database.transactions).toEqual([]);

    packs.release("a");
    database.read = () => Promise.reject(problem);
    await expect(packs.read("a", [range])).rejects.toBe(problem);
    database.read = read;
    expect(await packs.read("a", [range])).toEqual([utf8("c")]);
  });
});

test("packs are listed once each, and only their own segments are deleted", async () => {
  const { packs } = open();
  await write(packs, "a", new Uint8Array(2 * MIB));
  await write(packs, "ab", utf8("ab"));
  expect(await packs.list()).toEqual(["a", "ab"]);
  expect(await packs.missing(["b", "ab", "c"])).toEqual(["b", "c"]);
  expect(await packs.delete("a")).toBe(true);
  expect(await packs.delete("none")).toBe(true);
  expect(await packs.list()).toEqual(["ab"]);
});
