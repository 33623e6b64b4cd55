import { describe, expect, test, vi } from "vitest";
import { StoreError } from "../../src/error.ts";
import type { ObjectLocation } from "../../src/worker/object-table.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { PackedStore } from "../../src/worker/packed-store.ts";
import { PackGone } from "../../src/worker/storage-error.ts";
import { StoreLocks } from "../../src/worker/store-locks.ts";
import {
  allSettled,
  BLOB,
  CHUNK,
  dropRecord,
  entryOf,
  failure,
  longBlob,
  type MemoryStore,
  makePack,
  memoryStore,
  putPack,
  text,
} from "./memory-store.ts";

const [A, B, C] = [text("a"), text("bb"), text("ccc")];

/** Another tab with the same store. */
function otherTab(world: MemoryStore): MemoryStore {
  return memoryStore("opfs", world);
}

describe("a read", () => {
  test("returns the objects in order, from packs in both storages, and `undefined` for missing ones", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    await putPack(world, [B], { storage: "indexeddb" });
    expect(await world.store.read(CHUNK, [B.digest, C.digest, A.digest, B.digest])).toEqual([B.bytes, undefined, A.bytes, B.bytes]);
    expect(await world.store.has(CHUNK, [B.digest, C.digest])).toEqual([true, false]);
    expect(await world.store.read(CHUNK, [])).toEqual([]);
  });

  test("reads each pack once", async () => {
    const world = memoryStore();
    await putPack(world, [A, B]);
    await world.store.read(CHUNK, [A.digest, B.digest, A.digest]);
    expect(world.opfs.reads).toBe(1);
  });

  test("finds an object that another tab has committed", async () => {
    const world = memoryStore();
    await putPack(otherTab(world), [A]);
    expect(await world.store.read(CHUNK, [A.digest])).toEqual([A.bytes]);
  });

  test("of a missing chunk list refreshes the index only if there is no such chunk", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    world.database.transactions.length = 0;
    expect(await world.store.has(BLOB, [A.digest])).toEqual([false]);
    expect(world.database.transactions).toEqual([]);
    const long = longBlob(B, C);
    await putPack(otherTab(world), [long]);
    expect(await world.store.has(BLOB, [long.digest])).toEqual([true]);
  });

  test("of a pack that another tab has rewritten finds the new place", async () => {
    const world = memoryStore();
    const old = await putPack(world, [A]);
    const other = otherTab(world);
    await putPack(other, [A]);
    await dropRecord(other, { ...old });
    world.opfs.files.delete(old.pack);
    expect(await world.store.read(CHUNK, [A.digest])).toEqual([A.bytes]);
    expect(world.opfs.released).toEqual([old.pack, old.pack]);
  });

  test("of a pack that is missing reads another one that holds the object, and from then on only that one", async () => {
    const world = memoryStore();
    const [gone, also] = [await putPack(world, [A]), await putPack(world, [B])];
    await putPack(world, [A]);
    for (const { pack } of [gone, also]) world.opfs.files.delete(pack);
    expect(await world.store.read(CHUNK, [A.digest])).toEqual([A.bytes]);
    // The first missing pack makes the store look for all others.
    expect([gone.missing, also.missing]).toEqual([true, true]);
    world.opfs.reads = 0;
    await world.store.read(CHUNK, [A.digest]);
    expect(world.opfs.reads).toBe(1);
  });

  test("of a pack that is missing, without any other, is corrupt, each time", async () => {
    const world = memoryStore();
    world.opfs.files.delete((await putPack(world, [A])).pack);
    for (let i = 0; i < 2; i++) expect(await failure(world.store.read(CHUNK, [A.digest]))).toBe("corrupt");
    expect(await world.store.has(CHUNK, [A.digest])).toEqual([true]);
  });

  test("gives up after three rewrites in a row", async () => {
    const world = memoryStore();
    let record = await putPack(world, [A]);
    const other = otherTab(world);
    let rewrites = 0;
    world.opfs.read = async () => {
      rewrites++;
      const old = record;
      record = await putPack(other, [A]);
      await dropRecord(other, old);
      world.opfs.files.delete(old.pack);
      throw new PackGone(old.pack, "is missing");
    };
    expect(await failure(world.store.read(CHUNK, [A.digest]))).toBe("corrupt");
    expect(rewrites).toBe(4);
  });

  test("passes other errors on at once", async () => {
    const world = memoryStore();
    const { pack } = await putPack(world, [A]);
    world.opfs.inUse.add(pack);
    expect(await failure(world.store.read(CHUNK, [A.digest]))).toBe("unavailable");
    expect(world.opfs.reads).toBe(1);
  });
});

describe("packs in OPFS", () => {
  test("are unavailable in a browser that has none now; they don't count as missing", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    const store = new PackedStore(world.database.asDatabase, new StoreLocks("memory"), { indexeddb: world.indexeddb }, "indexeddb");
    await store.refresh();
    expect(await failure(store.read(CHUNK, [A.digest]))).toBe("unavailable");
    expect(await store.missingPacks()).toBe(0);
    store.close();
    expect(world.indexeddb.released).toEqual(["*"]);
  });

  test("are closed when the database ends, and then refuse reads with its reason", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    const reason = new StoreError("closed", "deleted");
    world.database.end(reason);
    expect([world.opfs.released, world.indexeddb.released]).toEqual([["*"], ["*"]]);
    await expect(world.store.readLocations([place(world)])).rejects.toBe(reason);
  });
});

const place = ({ store }: MemoryStore): ObjectLocation<IndexRecord> => store.table.location(0);

describe("missing packs", () => {
  test("are counted once for each pack; one without bytes needs no file", async () => {
    const world = memoryStore();
    const [one, two] = [await putPack(world, [A]), await putPack(world, [B], { storage: "indexeddb" })];
    const { record } = await makePack(world, [], { id: one.pack });
    await world.database.put("packs", "same pack", record);
    await world.database.put("packs", "empty", { pack: "none", storage: "opfs", size: 0, entries: new Uint8Array() });
    await world.database.put("meta", "generation", 9);
    await world.store.refresh();
    expect(await world.store.missingPacks()).toBe(0);
    world.opfs.files.clear();
    expect(await world.store.missingPacks()).toBe(1);
    expect([one.missing, two.missing, world.store.record("empty")?.missing]).toEqual([true, undefined, undefined]);
    world.indexeddb.files.clear();
    expect(await world.store.missingPacks()).toBe(2);
  });
});

describe("a sweep", () => {
  /** Packs without a record: one of this store, one of another store, and one that is open. */
  async function withSpares(): Promise<MemoryStore> {
    const world = memoryStore();
    await putPack(world, [A], { id: "used" });
    for (const [id, by] of [
      ["garbage", undefined],
      ["lost", "another store"],
      ["open", undefined],
    ] as const)
      world.opfs.files.set(id, (await makePack(world, [B], { id, ...(by && { by }) })).bytes);
    world.opfs.inUse.add("open");
    return world;
  }

  test("deletes garbage, and keeps packs that are used, lost or open", async () => {
    const world = await withSpares();
    await world.store.sweep();
    expect([...world.opfs.files.keys()]).toEqual(["used", "lost", "open"]);
  });

  test("does nothing while somebody writes", async () => {
    const world = await withSpares();
    await world.store.locks.writing(undefined, () => world.store.sweep());
    expect(world.opfs.files.has("garbage")).toBe(true);
  });

  test("is tried again later as long as garbage is left", async () => {
    const world = await withSpares();
    const later = async (): Promise<string[]> => {
      world.store.sweepLater();
      // Waits for the transactions of the sweep.
      await allSettled();
      return [...world.opfs.files.keys()];
    };
    expect(await later()).toContain("garbage");
    world.store.wantSweep();
    expect(await later()).toEqual(["used", "lost", "open"]);
    world.opfs.inUse.clear();
    expect(await later()).toEqual(["used", "lost"]);
    world.opfs.files.set("garbage", (await makePack(world, [B])).bytes);
    // The last sweep left nothing, so nothing is to be expected.
    expect(await later()).toContain("garbage");
    // A record that another tab drops may leave its pack.
    const other = otherTab(world);
    await other.store.refresh();
    await dropRecord(other, [...other.store.records][0] as IndexRecord);
    expect(await later()).toEqual(["lost"]);
  });

  test("that can't delete a pack is wanted again", async () => {
    const world = await withSpares();
    const remove = world.opfs.delete.bind(world.opfs);
    world.opfs.delete = async () => false;
    await world.store.sweep();
    world.opfs.delete = remove;
    world.store.sweepLater();
    await vi.waitFor(() => expect([...world.opfs.files.keys()]).toEqual(["used", "lost", "open"]));
  });

  test("in the background that fails harms nobody", async () => {
    const world = await withSpares();
    world.database.end(new StoreError("closed", "closed"));
    world.store.sweepLater();
    await allSettled();
    expect(world.opfs.files.has("garbage")).toBe(true);
  });
});

test("the id is read once; a failure to read it is not kept", async () => {
  const world = memoryStore();
  const read = world.database.read.bind(world.database);
  world.database.read = () => Promise.reject(new StoreError("unavailable", "lost"));
  expect(await failure(world.store.id())).toBe("unavailable");
  world.database.read = read;
  const id = await world.store.id();
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  world.database.transactions.length = 0;
  expect(await world.store.id()).toBe(id);
  expect(world.database.transactions).toEqual([]);
});

test("a counter that is missing or no number counts as 0", async () => {
  const world = memoryStore();
  await world.database.put("meta", "roots", 3);
  await world.database.put("meta", "adopted", ["x"]);
  expect(await Promise.all((["roots", "generation", "adopted"] as const).map((key) => world.store.count(key)))).toEqual([3, 0, 0]);
});

test("an adopted record counts as committed until it is dropped", async () => {
  const world = memoryStore();
  const record = await putPack(world, [A]);
  world.store.drop(record.key);
  expect([...world.store.records]).toEqual([]);
  expect(entryOf(world, A)).toBe(-1);
  record.writer = {};
  world.store.adopt(record);
  expect([record.alive, record.writer, world.store.record(record.key)]).toEqual([true, undefined, record]);
  expect(entryOf(world, A)).toBe(0);
});
