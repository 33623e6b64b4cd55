import { deleteDB } from "idb";
import { afterEach, describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { RepairReport } from "../../src/thread/maintenance-api.ts";
import { databaseName } from "../../src/thread/store-places.ts";
import { changeRecords } from "../../src/worker/index-records.ts";
import { EntryWriter } from "../../src/worker/pack-entries.ts";
import { encodeHeader, encodeTrailer, HEADER_LENGTH, packedPathInfo } from "../../src/worker/pack-format.ts";
import { packedReader } from "../../src/worker/packed-services.ts";
import type { PackedStore } from "../../src/worker/packed-store.ts";
import { repairIndex } from "../../src/worker/repair.ts";
import { countLostPacks } from "../../src/worker/spare-packs.ts";
import { pseudoRandom } from "../conformance/content.ts";
import {
  BLOB,
  CHUNK,
  changePack,
  closeAll,
  collect,
  DIRECTORY,
  engine,
  expectClean,
  expectWhole,
  failure,
  flip,
  forget,
  hasObject,
  importTree,
  lacking,
  open,
  packIds,
  place,
  reader,
  recordKeys,
  STORAGES,
  session,
  unfinishedImport,
  verified,
  writePack,
} from "./packed-world.browser.ts";
import { long } from "./trees.ts";

afterEach(closeAll);

const OPFS = STORAGES.includes("opfs");
const A = { text: "of a", large: long(1), sub: { text: "below a", empty: {} } };
const B = { text: "of b", large: long(2), shared: "shared" };
const C = { text: "of c", shared: "shared" };

const NOTHING: RepairReport = { packs: 0, objects: 0, bytes: 0, damaged: [], storePaths: [], incomplete: [] };

function repair(store: PackedStore, options: Parameters<typeof repairIndex>[2] = {}): Promise<RepairReport> {
  return repairIndex(store, engine, options);
}

/** Deletes the database of a store and keeps its files. Opens the store again, which is empty. */
async function loseDatabase(store: PackedStore, name: string): Promise<PackedStore> {
  store.close();
  await store.database.close();
  await deleteDB(databaseName(name));
  return open("opfs", name);
}

async function paths(store: PackedStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { storePath } of reader(store).pathInfos.list()) found.push(storePath);
  return found.sort();
}

const sorted = (...infos: readonly PathInfo[]): string[] => infos.map(({ storePath }) => storePath).sort();

/** Removes an index record, as damage to the database does. */
async function loseRecord(store: PackedStore, key: string): Promise<void> {
  await store.database.write(["packs", "meta"], "relaxed", async (transaction) => {
    await transaction.objectStore("packs").delete(key);
    await transaction.objectStore("meta").put(1000, "generation");
  });
}

describe.skipIf(!OPFS)("a lost database", () => {
  test("is rebuilt: all store paths are back, byte for byte, with their signatures", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const b = await importTree(before, B, "b");
    // This import writes no object.
    const again = await importTree(before, A, "again");
    const signature = `key:${"A".repeat(86)}==`;
    const signed = await reader(before).pathInfos.put({ ...b, signatures: [signature] });
    expect(signed.signatures).toEqual([signature]);
    const ids = await packIds(before);

    const store = await loseDatabase(before, name);
    expect(await paths(store)).toEqual([]);
    expect(await countLostPacks(store)).toBe(ids.length);
    await store.sweep();
    expect(await packIds(store)).toEqual(ids);
    const report = await repair(store);
    expect(report).toMatchObject({ packs: ids.length, damaged: [], storePaths: sorted(a, b, again), incomplete: [] });
    expect(await packIds(store)).toEqual(ids);
    for (const each of [store, await open("opfs", name)]) {
      for (const info of [a, signed, again]) await expectWhole(each, info);
      await expectClean(each);
      expect(await countLostPacks(each)).toBe(0);
      expect(each.isIndexDamaged).toBe(false);
    }
    expect(await repair(store)).toEqual(NOTHING);
  });

  test("is rebuilt a second time when it is lost again", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const store = await loseDatabase(before, name);
    await repair(store);
    const b = await importTree(store, B, "b");
    const last = await loseDatabase(store, name);
    expect((await repair(last)).storePaths).toEqual(sorted(a, b));
    for (const info of [a, b]) await expectWhole(last, info);
    await expectClean(last);
  });

  test("is rebuilt beside content that was imported before the repair", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const c = await importTree(before, C, "c");
    const store = await loseDatabase(before, name);
    const other = await open("opfs", name);
    await importTree(store, A, "a");
    const b = await importTree(other, B, "b");
    await Promise.all([store.sweep(), other.sweep()]);
    expect((await repair(store)).storePaths).toEqual(sorted(c));
    for (const each of [store, other]) {
      await each.refresh();
      for (const info of [a, b, c]) await expectWhole(each, info);
      await expectClean(each);
    }
    await collect(store);
    for (const info of [a, b, c]) await expectWhole(other, info);
  });

  test("of an aborted repair is as it was, and the next repair succeeds", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const store = await loseDatabase(before, name);
    const controller = new AbortController();
    const reason = { why: "enough" };
    const told: string[] = [];
    const aborted = repair(store, {
      signal: controller.signal,
      onProgress: ({ phase, unit }) => {
        told.push(`${phase} ${unit}`);
        controller.abort(reason);
      },
    });
    await expect(aborted).rejects.toBe(reason);
    expect(told[0]).toBe("repairing bytes");
    expect(await recordKeys(store)).toEqual([]);
    const amounts: [number, number | undefined][] = [];
    await repair(store, { onProgress: ({ loaded, total }) => amounts.push([loaded, total]) });
    expect(amounts.at(-1)?.[0]).toBe(amounts.at(-1)?.[1]);
    await expectWhole(store, a);
  });

  test("is not rebuilt from packs of killed sessions that have no trailer; these are deleted", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const [whole] = await packIds(before);
    const header = encodeHeader({ store: await before.id(), created: Date.now() });
    const torn = crypto.randomUUID();
    await writePack(name, torn, new Uint8Array(concatBytes([header, utf8("an object, and no trailer"), new Uint8Array(200)])));
    const empty = crypto.randomUUID();
    await writePack(name, empty, new Uint8Array(0));
    const store = await loseDatabase(before, name);
    expect(await countLostPacks(store)).toBe(1);
    await store.sweep();
    expect(await packIds(store)).toEqual([whole]);
    expect((await repair(store)).packs).toBe(1);
    await expectWhole(store, a);
  });

  test("brings deleted paths back, unless their content or their packs are gone", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const b = await importTree(before, B, "b");
    const [one, two] = [pseudoRandom(3_000_000, 71), pseudoRandom(3_000_000, 72)];
    // The packs of these paths stay, because the last path uses most of them. One object of `half`
    // is in the pack of `b`, which does not stay.
    const gone = await importTree(before, { text: "of gone", one }, "gone");
    const half = await importTree(before, { ...C, two }, "half");
    const user = await importTree(before, { one, two }, "user");
    await forget(before, b, gone, half);
    await collect(before);
    const store = await loseDatabase(before, name);
    const { storePaths, incomplete } = await repair(store);
    expect(storePaths).toEqual(sorted(a, gone, user));
    expect(incomplete).toEqual(sorted(half));
    for (const info of [a, gone, user]) await expectWhole(store, info);
    await expectClean(store);
    // Deleted again, with a database that knows of it.
    await forget(store, gone);
    await collect(store);
    expect(await countLostPacks(store)).toBe(0);
    expect(await repair(store)).toEqual(NOTHING);
    expect(await paths(store)).toEqual(sorted(a, user));
  });

  test("is rebuilt after a garbage collection rewrote the packs", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const infos: PathInfo[] = [];
    for (let i = 0; i < 10; i++) infos.push(await importTree(before, { text: `text ${i}` }, `tree${i}`));
    const removed = infos.pop() as PathInfo;
    await forget(before, removed);
    await collect(before);
    expect((await packIds(before)).length).toBe(1);
    const store = await loseDatabase(before, name);
    expect((await repair(store)).storePaths).toEqual(sorted(...infos));
    for (const info of infos) await expectWhole(store, info);
  });

  test("loses only paths whose objects are damaged", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const b = await importTree(before, B, "b");
    const chunk = place(before, CHUNK, digestOf(utf8("below a")));
    await flip(before, name, chunk);
    const store = await loseDatabase(before, name);
    const report = await repair(store);
    expect(report).toMatchObject({ storePaths: sorted(b), incomplete: sorted(a) });
    expect(report.damaged).toContainEqual(chunk.named);
    // The directories above the damage stay out of the index, so that no import relies on them.
    expect(report.damaged.filter(({ kind }) => kind === "directory").length).toBe(2);
    expect(await lacking(store)).toEqual([]);
    await expectWhole(store, b);
    await expectClean(store);
    await expectWhole(store, await importTree(store, A, "a"));
  });

  test("loses a blob whose chunk is damaged", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const b = await importTree(before, B, "b");
    const [stat] = await reader(before).blobs.stat([digestOf(B.large)]);
    const chunk = place(before, CHUNK, stat?.chunks[1]?.digest as ReturnType<typeof digestOf>);
    const blob = place(before, BLOB, digestOf(B.large));
    await flip(before, name, chunk);
    const store = await loseDatabase(before, name);
    const report = await repair(store);
    expect(report.damaged).toEqual(expect.arrayContaining([chunk.named, blob.named]));
    expect(report.incomplete).toEqual(sorted(b));
    expect(await lacking(store)).toEqual([]);
    expect(hasObject(store, BLOB, digestOf(B.large))).toBe(false);
  });

  test("is not rebuilt from a pack whose trailer is torn", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const b = await importTree(before, B, "b");
    await changePack(before, name, place(before, CHUNK, digestOf(utf8("of a"))).pack, (bytes) => bytes.slice(0, -30));
    const store = await loseDatabase(before, name);
    expect(await countLostPacks(store)).toBe(1);
    expect((await repair(store)).storePaths).toEqual(sorted(b));
    await expectWhole(store, b);
    expect(await reader(store).pathInfos.get(a.storePath.slice(11, 43))).toBeUndefined();
  });

  test("takes nothing from trailers that lie", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const object = utf8("an object");
    const header = encodeHeader({ store: "another store", created: Date.now() });
    const liar = async (offset: number, length: number, kind: 0 | 1 | 2, digest = digestOf(object)): Promise<string> => {
      const entries = new EntryWriter(1);
      entries.add({ digest, kind, offset, length });
      const id = crypto.randomUUID();
      const info = { ...a, narSize: 7 };
      const trailer = encodeTrailer(header, HEADER_LENGTH + object.length, entries.bytes, [packedPathInfo(info), utf8("junk")]);
      await writePack(name, id, new Uint8Array(concatBytes([header, object, trailer])));
      return id;
    };
    const outside = [await liar(HEADER_LENGTH + 1000, object.length, 0), await liar(HEADER_LENGTH, 2 ** 30 - 1, 0)];
    // An object that is no directory and no list of chunks, and one with a wrong digest.
    const inside = [
      await liar(HEADER_LENGTH, object.length, 1),
      await liar(HEADER_LENGTH, object.length, 2),
      await liar(HEADER_LENGTH, object.length, 0, digestOf(utf8("other"))),
    ];
    const store = await loseDatabase(before, name);
    const report = await repair(store);
    expect(report.storePaths).toEqual(sorted(a));
    await expectWhole(store, a);
    await expectClean(store);
    expect(hasObject(store, CHUNK, digestOf(utf8("other")))).toBe(false);
    expect(hasObject(store, DIRECTORY, digestOf(object)) || hasObject(store, BLOB, digestOf(object))).toBe(false);
    const left = await packIds(store);
    for (const id of [...outside, ...inside]) expect(left).not.toContain(id);
  });

  test("is repaired by one of two tabs, and the other tab sees everything", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const store = await loseDatabase(before, name);
    const other = await open("opfs", name);
    const [one, two] = await Promise.all([repair(store), repair(other)]);
    expect(one.packs + two.packs).toBe(1);
    for (const each of [store, other]) await expectWhole(each, a);
  });

  test("is repaired only when nobody writes", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const store = await loseDatabase(before, name);
    const importing = await unfinishedImport(store, B, "b");
    let isOver = false;
    const repairing = repair(await open("opfs", name)).finally(() => {
      isOver = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(isOver).toBe(false);
    await importing.end();
    expect((await repairing).storePaths).toEqual(sorted(a));
    for (const info of [a, importing.value]) await expectWhole(store, info);
  });

  test("of a path that was put twice gives the newer content back", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const c = await importTree(before, C, "c");
    await forget(before, a);
    // The times of the packs have to differ.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const newer = { ...c, storePath: a.storePath };
    await reader(before).pathInfos.put(newer);
    const store = await loseDatabase(before, name);
    await repair(store);
    await expectWhole(store, newer);
  });

  test("does not give back a path info whose import failed with a conflict", async () => {
    const name = crypto.randomUUID();
    const before = await open("opfs", name);
    const a = await importTree(before, A, "a");
    const c = await importTree(before, C, "c");
    expect(await failure(packedReader(before, engine).pathInfos.put({ ...c, storePath: a.storePath }))).toBe("conflict");
    const store = await loseDatabase(before, name);
    await repair(store);
    await expectWhole(store, a);
  });
});

describe.each(STORAGES)("lost index records: packs in %s", (storage) => {
  test("are rebuilt; no sweep deletes their packs before", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    const b = await importTree(store, B, "b");
    const ids = await packIds(store);
    await loseRecord(store, place(store, CHUNK, digestOf(utf8("of a"))).key);
    const other = await open(storage, name);
    expect(other.isIndexDamaged).toBe(true);
    expect(await countLostPacks(other)).toBe(1);
    await store.sweep();
    await other.sweep();
    expect(await packIds(other)).toEqual(ids);
    expect(await repair(other)).toMatchObject({ packs: 1, damaged: [], storePaths: [], incomplete: [] });
    await store.refresh();
    for (const each of [store, other, await open(storage, name)]) {
      for (const info of [a, b]) await expectWhole(each, info);
      await expectClean(each);
      expect(each.isIndexDamaged).toBe(false);
    }
  });

  test("are rebuilt, although a new import brought their objects back", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    await loseRecord(store, place(store, CHUNK, digestOf(utf8("of a"))).key);
    await store.refresh();
    await importTree(store, A, "a");
    await repair(store);
    await expectWhole(store, a);
    await collect(store);
    await expectWhole(store, a);
    await expectClean(store);
  });

  test("do not bring deleted paths back", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    const b = await importTree(store, B, "b");
    await forget(store, a);
    await loseRecord(store, place(store, CHUNK, digestOf(utf8("of a"))).key);
    await store.refresh();
    expect((await repair(store)).storePaths).toEqual([]);
    expect(await paths(store)).toEqual(sorted(b));
    expect((await collect(store)).objects).toBeGreaterThan(3);
  });

  test.each([
    ["is cut within an entry", (record: object) => ({ ...record, entries: new Uint8Array(79) })],
    ["is something else", () => "something else"],
  ])("a record that %s is rebuilt", async (_, change) => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    const b = await importTree(store, B, "b");
    const { key } = place(store, CHUNK, digestOf(utf8("of a")));
    const record = await store.database.read("packs", (packs) => packs.get(key));
    await store.database.write(["packs", "meta"], "relaxed", async (transaction) => {
      await transaction.objectStore("packs").put(change(record as object) as never, key);
      await transaction.objectStore("meta").put(1000, "generation");
    });
    const other = await open(storage, name);
    const ids = await packIds(other);
    await other.sweep();
    expect(await packIds(other)).toEqual(ids);
    expect((await repair(other)).packs).toBe(1);
    for (const info of [a, b]) await expectWhole(other, info);
    await expectClean(other);
    expect(other.isIndexDamaged).toBe(false);
    expect((await recordKeys(other)).length).toBe(2);
  });

  test("all at once are rebuilt", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    await importTree(store, { ...A, ...B }, "b");
    for (const key of await recordKeys(store)) await loseRecord(store, key);
    const other = await open(storage, name);
    expect(await failure(expectWhole(other, a))).toBe("not-found");
    expect((await repair(other)).packs).toBe(2);
    await expectWhole(other, a);
    expect((await verified(other)).report).toMatchObject({ corrupt: [], missing: [] });
  });

  test("a healthy store: packs that a session ended without a commit are garbage", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    const { end } = await session(store, (services) => services.blobs.putMany([utf8("never committed")]));
    await end();
    // A pack that is complete, but whose record was never committed.
    await store.database.write(["packs", "meta"], "relaxed", async (transaction) => {
      const { key } = place(store, CHUNK, digestOf(utf8("of a")));
      await changeRecords(transaction, [], [key]);
    });
    const other = await open(storage, name);
    expect(other.isIndexDamaged).toBe(false);
    expect(await countLostPacks(other)).toBe(0);
    await other.sweep();
    expect(await packIds(other)).toEqual([]);
    expect(await repair(other)).toEqual(NOTHING);
    expect(await failure(expectWhole(other, a))).toBe("not-found");
  });
});
