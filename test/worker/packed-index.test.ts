import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import type { PackRecord } from "../../src/worker/database.ts";
import { changeRecords } from "../../src/worker/index-records.ts";
import { type IndexRecord, PackedIndex } from "../../src/worker/packed-index.ts";
import { MemoryDatabase } from "./memory-database.ts";
import { CHUNK, makePack, memoryStore, NONE, text } from "./memory-store.ts";

interface Opened {
  readonly index: PackedIndex;
  readonly database: MemoryDatabase;
  readonly dropped: string[];
}

function open(database = new MemoryDatabase()): Opened {
  const dropped: string[] = [];
  return { database, dropped, index: new PackedIndex(database.asDatabase, ({ key }) => dropped.push(key)) };
}

const world = memoryStore();

async function recordOf(...contents: string[]): Promise<PackRecord> {
  return (await makePack(world, contents.map(text), { id: `pack of ${contents[0]}` })).record;
}

/** Commits a change of index records, as another tab does. */
async function change({ database }: Opened, added: [string, PackRecord][], removed: string[] = []): Promise<void> {
  await database.asDatabase.write(["packs", "meta"], "relaxed", (transaction) => changeRecords(transaction, added, removed));
}

const keys = ({ index }: Opened): string[] => [...index.records].map(({ key }) => key).sort();
const holds = ({ index }: Opened, content: string): boolean => index.table.find(text(content).digest, CHUNK) !== NONE;

describe("a refresh", () => {
  test("loads the records that were added, and drops those that were removed", async () => {
    const opened = open();
    await opened.index.refresh();
    expect(await opened.index.refresh()).toBe(false);
    await change(opened, [
      ["1", await recordOf("a", "bb")],
      ["2", await recordOf("c")],
    ]);
    expect(await opened.index.refresh()).toBe(true);
    expect(await opened.index.refresh()).toBe(false);
    expect(opened.index.record("1")).toMatchObject({ alive: true, pack: "pack of a", storage: "opfs", count: 2, bytes: 3 });
    const dropped: IndexRecord[] = [];
    const stop = opened.index.onDrop((record) => dropped.push(record));
    const first = opened.index.record("1");
    await change(opened, [["3", await recordOf("d")]], ["1"]);
    expect(await opened.index.refresh()).toBe(true);
    expect(keys(opened)).toEqual(["2", "3"]);
    expect(opened.dropped).toEqual(["1"]);
    expect(dropped).toEqual([first]);
    expect(first?.alive).toBe(false);
    expect(["a", "c", "d"].map((content) => holds(opened, content))).toEqual([false, true, true]);
    expect(opened.index.generation).toBe(2);
    stop();
    await change(opened, [], ["2"]);
    await opened.index.refresh();
    expect(dropped).toHaveLength(1);
    expect(opened.dropped).toEqual(["1", "2"]);
  });

  test("reads the values in batches of 8", async () => {
    const opened = open();
    const record = await recordOf("a");
    await change(
      opened,
      Array.from({ length: 17 }, (_, i) => [String(i), record]),
    );
    opened.database.transactions.length = 0;
    await opened.index.refresh();
    expect(opened.database.transactions.map(({ names }) => names.join())).toEqual(["meta,packs", "packs", "packs", "packs"]);
    expect(keys(opened)).toHaveLength(17);
  });

  test("during another one sees changes that the running one has missed, and is shared", async () => {
    const opened = open();
    await change(opened, [["1", await recordOf("a")]]);
    const first = opened.index.refresh();
    const changing = change(opened, [["2", await recordOf("b")]]);
    const [second, third] = [opened.index.refresh(), opened.index.refresh()];
    expect(third).toBe(second);
    expect(await first).toBe(true);
    await changing;
    expect(await second).toBe(true);
    expect(keys(opened)).toEqual(["1", "2"]);
  });

  test("during one that loads everything or fails still gets its own answer", async () => {
    const opened = open();
    await change(opened, [["1", await recordOf("a")]]);
    const [first, second] = [opened.index.refresh(), opened.index.refresh()];
    expect([await first, await second]).toEqual([true, true]);

    const problem = new Error("the database is gone");
    const snapshot = opened.database.snapshot.bind(opened.database);
    opened.database.snapshot = async () => {
      opened.database.snapshot = snapshot;
      throw problem;
    };
    const [failing, next] = [opened.index.refresh(), opened.index.refresh()];
    await expect(failing).rejects.toBe(problem);
    expect(await next).toBe(false);
  });

  test("keeps a record that this tab commits meanwhile, and leaves out one that is replaced meanwhile", async () => {
    const opened = open();
    const { database, index } = opened;
    await change(opened, [["1", await recordOf("a")]]);
    const read = database.read.bind(database);
    const adopted: IndexRecord = {
      alive: false,
      key: "mine",
      pack: "mine",
      storage: "opfs",
      size: 9,
      trailer: 0,
      count: 0,
      bytes: 0,
    };
    database.read = (async (...args: Parameters<typeof read>) => {
      database.read = read;
      // Between the list of the keys and the values.
      index.adopt(adopted);
      await database.delete("packs", "1");
      return read(...args);
    }) as typeof read;
    expect(await index.refresh()).toBe(true);
    expect([...index.records]).toEqual([adopted]);
    expect(adopted.alive).toBe(true);
    expect(opened.dropped).toEqual([]);
  });
});

describe("the index is damaged if", () => {
  test("a record is lost", async () => {
    const opened = open();
    await change(opened, [
      ["1", await recordOf("a")],
      ["2", await recordOf("b")],
    ]);
    await opened.index.refresh();
    expect(opened.index.isDamaged).toBe(false);
    await opened.database.delete("packs", "2");
    await opened.database.put("meta", "generation", 7);
    await opened.index.refresh();
    expect(opened.index.isDamaged).toBe(true);
  });

  test.each<[string, (record: PackRecord) => Partial<Record<keyof PackRecord, unknown>>]>([
    ["are cut short", ({ entries }) => ({ entries: entries.subarray(1) })],
    ["are no bytes", () => ({ entries: "entries" })],
    ["lie beyond the pack", () => ({ size: 1 })],
    ["belong to a pack of an impossible size", () => ({ size: -1 })],
    ["belong to a pack of an unknown size", () => ({ size: 1.5 })],
  ])("entries of a record %s; the others count", async (_, damage) => {
    const opened = open();
    const record = await recordOf("a");
    await change(opened, [["1", await recordOf("b")]]);
    await opened.database.put("packs", "bad", { ...record, ...damage(record) });
    await opened.database.put("meta", "records", 2);
    await opened.index.refresh();
    expect(opened.index.isDamaged).toBe(true);
    expect(opened.index.record("bad")).toMatchObject({ damaged: true });
    expect(opened.index.record("1")?.damaged).toBeUndefined();
    expect([holds(opened, "a"), holds(opened, "b")]).toEqual([false, true]);
  });
});

test("fields of a record that other code has changed get values of their types", async () => {
  const opened = open();
  const { entries } = await recordOf("a");
  await opened.database.put("packs", "odd", { pack: 7, storage: "tape", size: 1000, trailer: "long", entries });
  await opened.database.put("packs", "old", { pack: "old", storage: "indexeddb", size: 1000, entries });
  await opened.database.put("meta", "generation", 1);
  await opened.index.refresh();
  expect(opened.index.record("odd")).toMatchObject({ pack: "7", storage: "indexeddb", trailer: 0, size: 1000 });
  // A record of version 2 has no trailer.
  expect(opened.index.record("old")).toMatchObject({ storage: "indexeddb", trailer: 0 });
});

test("a record that is dropped twice, or unknown, is reported once", async () => {
  const opened = open();
  await change(opened, [["1", await recordOf("a")]]);
  await opened.index.refresh();
  opened.index.drop("1");
  opened.index.drop("1");
  opened.index.drop("2");
  expect(opened.dropped).toEqual(["1"]);
});

describe("the table is compacted", () => {
  /** A table with one live object, and one of `dead` objects of a record that was dropped. */
  async function withDead(dead: number): Promise<Opened & { drop(): Promise<unknown> }> {
    const opened = open();
    const [live, lost] = [await recordOf("live"), await recordOf(...Array.from({ length: dead }, (_, i) => `dead ${i}`))];
    await change(opened, [
      ["live", live],
      ["lost", lost],
    ]);
    await opened.index.refresh();
    const drop = async () => {
      await change(opened, [], ["lost"]);
      return opened.index.refresh();
    };
    return { ...opened, drop };
  }

  test.each([
    ["at once if more than half of it and 1024 entries are dead", 1026, 1],
    ["not if fewer are dead", 1025, 1026],
  ])("%s", async (_, dead, left) => {
    const opened = await withDead(dead);
    await opened.drop();
    expect(opened.index.table.count).toBe(left);
    expect(holds(opened, "live")).toBe(true);
  });

  test("only after the last caller has stopped holding it, even if one fails", async () => {
    const opened = await withDead(1026);
    const { table } = opened.index;
    const problem = new StoreError("invalid", "the work failed");
    const outer = opened.index.holding(async () => {
      await opened.index.holding(opened.drop);
      expect(opened.index.table).toBe(table);
      throw problem;
    });
    await expect(outer).rejects.toBe(problem);
    expect(opened.index.table).not.toBe(table);
    expect(opened.index.table.count).toBe(1);
  });
});
