import { afterEach, describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { openStore, type Progress, type Store } from "../../src/index.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { databaseName } from "../../src/thread/store-places.ts";
import { LEGACY_STORES } from "../../src/worker/database.ts";
import { openPackedStore } from "../../src/worker/open-packed-store.ts";
import type { PackedStore } from "../../src/worker/packed-store.ts";
import { countLostPacks } from "../../src/worker/spare-packs.ts";
import { readAll } from "../conformance/content.ts";
import { openPacked } from "../conformance/packed-backend.browser.ts";
import { revived } from "./fixture-values.ts";
import {
  CHUNK,
  collect,
  engine,
  equalBytes,
  expectClean,
  expectWhole,
  failure,
  hasObject,
  importTree,
  reader,
  STORAGES,
  type Storage,
  writePack,
} from "./packed-world.browser.ts";
import { narOf, V1_TREES } from "./trees.ts";
import early from "./v1-early.json" with { type: "json" };
import late from "./v1-late.json" with { type: "json" };
import v2InDatabase from "./v2-indexeddb.json" with { type: "json" };
import v2InFiles from "./v2-opfs.json" with { type: "json" };

const FIXTURES = { "before blobs had outboards": early, "with outboards": late };

const opened: (PackedStore | Store)[] = [];
const restore: (() => void)[] = [];
afterEach(async () => {
  for (const undo of restore.splice(0)) undo();
  for (const store of opened.splice(0)) {
    await store.close();
    if ("database" in store) await store.database.close();
  }
});

async function open(name: string): Promise<PackedStore> {
  const store = await openPackedStore(name, "auto");
  opened.push(store);
  return store;
}

/** Makes a database of version 1, with additional chunks that nothing refers to. */
async function makeV1(records: (typeof early)["records"], fillers = 0): Promise<string> {
  const name = crypto.randomUUID();
  const request = indexedDB.open(databaseName(name), 1);
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    request.onupgradeneeded = () => {
      for (const store of ["chunks", "blobs", "directories", "pathInfos"]) request.result.createObjectStore(store);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = db.transaction([...db.objectStoreNames], "readwrite");
  for (const [store, all] of Object.entries(records)) {
    for (const [key, value] of all) transaction.objectStore(store).put(revived(value), revived(key) as IDBValidKey);
  }
  for (let i = 0; i < fillers; i++) {
    const bytes = utf8(`filler ${i}`);
    transaction.objectStore("chunks").put(bytes, digestOf(bytes) as IDBValidKey & Uint8Array<ArrayBuffer>);
  }
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  db.close();
  return name;
}

/**
 * Makes transactions fail that take records from the old object store `name`, as if the tab were
 * killed. The first `after` of them succeed.
 */
function stopAt(name: string, after = 0): void {
  const original = IDBDatabase.prototype.transaction;
  let count = 0;
  IDBDatabase.prototype.transaction = function (this: IDBDatabase, names, mode, options) {
    if (mode === "readwrite" && [names].flat().includes(name) && count++ >= after) throw new DOMException("killed", "UnknownError");
    return original.call(this, names, mode, options);
  } as typeof original;
  restore.push(() => {
    IDBDatabase.prototype.transaction = original;
  });
}

function undoAll(): void {
  for (const undo of restore.splice(0)) undo();
}

const KEPT = V1_TREES.slice(0, -1);

async function expectAll(store: PackedStore): Promise<void> {
  const found = new Map<string, PathInfo>();
  for await (const info of reader(store).pathInfos.list()) found.set(info.storePath.slice("/nix/store/".length + 33), info);
  expect([...found.keys()].sort()).toEqual(KEPT.map(({ name }) => name).sort());
  for (const { name, root } of KEPT) {
    const info = found.get(name) as PathInfo;
    const nar = narOf(root);
    expect(info.narSize).toBe(nar.reduce((sum, { length }) => sum + length, 0));
    const { narHash, narSize } = await calculateNar(reader(store), engine, info.node);
    expect({ name, narHash, narSize }).toEqual({ name, narHash: info.narHash, narSize: info.narSize });
    // A new import gives the same path.
    expect((await importTree(store, root, name)).storePath).toBe(info.storePath);
  }
  await expectClean(store);
}

async function legacyRecords(store: PackedStore): Promise<number[]> {
  expect(await store.database.legacyStores()).toEqual(LEGACY_STORES);
  return Promise.all(LEGACY_STORES.map((name) => store.database.read(name, (records) => records.count())));
}

test("the fixtures have the expected record formats", () => {
  const blobs = (records: (typeof early)["records"]): unknown[] => records.blobs.map(([, value]) => revived(value));
  expect(blobs(early.records).length).toBe(2);
  expect(blobs(early.records).every((value) => value instanceof Uint8Array)).toBe(true);
  expect(blobs(late.records as never).every((value) => Object.keys(value as object).join() === "chunks,bao")).toBe(true);
});

describe.each(Object.entries(FIXTURES))("a database of version 1, %s", (_, { records }) => {
  const fixture = records as (typeof early)["records"];

  test("has all its paths in packs after it is opened, and the old object stores are empty", async () => {
    const name = await makeV1(fixture);
    const store = await open(name);
    expect(await legacyRecords(store)).toEqual([0, 0, 0]);
    expect([...store.records].length).toBeGreaterThan(0);
    await expectAll(store);
    expect(await store.database.read("meta", (meta) => meta.get("id"))).toMatch(/^[0-9a-f-]{36}$/);
    // Garbage of version 1 is still there until it is collected.
    expect(hasObject(store, CHUNK, digestOf(utf8("deleted")))).toBe(true);
    await collect(store);
    expect(hasObject(store, CHUNK, digestOf(utf8("deleted")))).toBe(false);
    await expectAll(store);
    await expectAll(await open(name));
  });

  test.each(["chunks", "blobs", "directories"])("can be opened after a crash before its %s were moved", async (legacy) => {
    const name = await makeV1(fixture);
    stopAt(legacy);
    expect(await failure(open(name))).toBe("unavailable");
    undoAll();
    const store = await open(name);
    expect(await legacyRecords(store)).toEqual([0, 0, 0]);
    await expectAll(store);
    await collect(store);
    await expectAll(await open(name));
  });

  test("can be opened after a crash that left some records of a kind unmoved", async () => {
    const name = await makeV1(fixture, 5000);
    stopAt("chunks", 1);
    expect(await failure(open(name))).toBe("unavailable");
    undoAll();
    const left = await new Promise<number>((resolve, reject) => {
      const request = indexedDB.open(databaseName(name));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const count = request.result.transaction("chunks").objectStore("chunks").count();
        count.onsuccess = () => {
          request.result.close();
          resolve(count.result);
        };
      };
    });
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(5000);
    const store = await open(name);
    expect(await legacyRecords(store)).toEqual([0, 0, 0]);
    expect(hasObject(store, CHUNK, digestOf(utf8("filler 4999"))) && hasObject(store, CHUNK, digestOf(utf8("filler 0")))).toBe(
      true,
    );
    await expectAll(store);
    expect((await collect(store)).objects).toBeGreaterThan(5000);
    await expectAll(store);
  });

  test("can be opened by several tabs at once, while an older page has it open", async () => {
    const name = await makeV1(fixture, 100);
    const old = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(databaseName(name));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => resolve(request.result);
    });
    old.onversionchange = () => old.close();
    const stores = await Promise.all([open(name), open(name), open(name)]);
    for (const store of stores) {
      expect(await legacyRecords(store)).toEqual([0, 0, 0]);
      await store.refresh();
    }
    await collect(stores[1] as PackedStore);
    for (const store of stores) await expectAll(store);
  });

  test.each(STORAGES)("is moved to the storage with which the store is opened: %s", async (storage) => {
    const name = await makeV1(fixture);
    const store = await openStore(name, { storage, workers: 1 });
    opened.push(store);
    expect(store.losses).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
    let paths = 0;
    for await (const info of store.pathInfos()) {
      const { root } = KEPT.find(({ name }) => info.storePath.endsWith(`-${name}`)) ?? { root: "nothing" };
      const nar = new Uint8Array(await new Blob(narOf(root)).arrayBuffer());
      const rendered = await readAll(store.nar(info.storePath));
      expect(rendered && equalBytes(rendered, nar), info.storePath).toBe(true);
      paths++;
    }
    expect(paths).toBe(KEPT.length);
    expect(await store.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [] });
    expect((await store.usage()).storage).toBe(storage);
  });
});

test("the upgrade reports progress, stops at an abort, and continues at the next opening", async () => {
  const name = await makeV1(early.records, 20_000);
  const controller = new AbortController();
  const reason = { why: "the user left" };
  const opening = openPackedStore(name, "indexeddb", { signal: controller.signal, onProgress: () => controller.abort(reason) });
  await expect(opening).rejects.toBe(reason);

  const told: Progress[] = [];
  const store = await openPackedStore(name, "indexeddb", { onProgress: (progress) => told.push(progress) });
  opened.push(store);
  const upgrading = told.filter(({ phase }) => phase === "upgrading");
  const { unit, loaded, total } = upgrading.at(-1) ?? {};
  expect(unit).toBe("objects");
  expect(loaded).toBe(total);
  // The first attempt has moved some of the chunks.
  expect(total).toBeLessThan(20_000);
  expect(total).toBeGreaterThan(10_000);
  await expectAll(store);
  await expectClean(store);
});

const V2 = { opfs: v2InFiles, indexeddb: v2InDatabase };
const SEGMENT = 1024 * 1024;

/** Makes a store of version 2. @returns its name */
async function makeV2(storage: Storage): Promise<string> {
  const name = crypto.randomUUID();
  const { records, packs } = V2[storage];
  const whole = Object.entries(packs).map(([id, objects]) => ({
    id,
    bytes: new Uint8Array(concatBytes(objects.map((object) => revived(object) as Uint8Array))),
  }));
  if (storage === "opfs") for (const { id, bytes } of whole) await writePack(name, id, bytes);
  const request = indexedDB.open(databaseName(name), 2);
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    request.onupgradeneeded = () => {
      for (const store of ["packs", "segments", "pathInfos", "pins", "meta"]) request.result.createObjectStore(store);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = db.transaction([...db.objectStoreNames], "readwrite");
  for (const [store, all] of Object.entries(records)) {
    for (const [key, value] of all) transaction.objectStore(store).put(revived(value), revived(key) as IDBValidKey);
  }
  for (const { id, bytes } of storage === "indexeddb" ? whole : []) {
    for (let i = 0; i * SEGMENT < bytes.length; i++)
      transaction.objectStore("segments").put(bytes.slice(i * SEGMENT, (i + 1) * SEGMENT), [id, i]);
  }
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  db.close();
  return name;
}

describe.each(STORAGES)("a store of version 2 with packs in %s", (storage) => {
  async function openV2(name: string): Promise<PackedStore> {
    const store = await openPacked(storage, name);
    opened.push(store);
    return store;
  }

  test("has all its content, and nothing is missing", async () => {
    const name = await makeV2(storage);
    const store = await openV2(name);
    expect(store.isIndexDamaged).toBe(false);
    expect(await store.missingPacks()).toBe(0);
    expect(await countLostPacks(store)).toBe(0);
    expect([...store.records].every(({ trailer }) => trailer === 0)).toBe(true);
    await store.sweep();
    await expectAll(store);
    const [pin] = await store.database.read("pins", (pins) => pins.getAll());
    expect(pin?.node.kind === "file" && (await reader(store).blobs.readMany([pin.node.digest]))[0]).toEqual(
      new Uint8Array(utf8("pinned")),
    );
    expect(await store.id()).toBe(V2[storage].records.meta.find(([key]) => key === "id")?.[1]);
  });

  test("has packs of both kinds after an import, and of the new kind after they are rewritten", async () => {
    const name = await makeV2(storage);
    const store = await openV2(name);
    const added = await importTree(store, { added: "added" }, "added");
    expect(new Set([...store.records].map(({ trailer }) => trailer > 0))).toEqual(new Set([false, true]));
    expect(hasObject(store, CHUNK, digestOf(utf8("deleted")))).toBe(true);
    // Small packs are rewritten if there are many of them.
    for (let i = 0; i < 8; i++) await importTree(store, { text: `text ${i}` }, `tree${i}`);
    await collect(store);
    expect(hasObject(store, CHUNK, digestOf(utf8("deleted")))).toBe(false);
    expect([...store.records].every(({ trailer }) => trailer > 0)).toBe(true);
    for (const each of [store, await openV2(name)]) {
      await expectWhole(each, added);
      await expectClean(each);
    }
  });

  test("is closed in tabs with an older page, and can be opened by several tabs at once", async () => {
    const name = await makeV2(storage);
    const old = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(databaseName(name));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => resolve(request.result);
    });
    old.onversionchange = () => old.close();
    for (const store of await Promise.all([openV2(name), openV2(name), openV2(name)])) {
      expect(store.isIndexDamaged).toBe(false);
      await expectAll(store);
    }
  });

  test("can be opened after a crash within the upgrade", async () => {
    const name = await makeV2(storage);
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("killed", "UnknownError");
    };
    restore.push(() => {
      IDBObjectStore.prototype.put = put;
    });
    expect(await failure(openPacked(storage, name))).toBe("unavailable");
    undoAll();
    await expectAll(await openV2(name));
  });
});
