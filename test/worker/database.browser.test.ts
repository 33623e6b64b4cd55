import { afterEach, describe, expect, test } from "vitest";
import { databaseName } from "../../src/thread/store-places.ts";
import { StoreDatabase } from "../../src/worker/database.ts";
import { deletePackedStore } from "../../src/worker/open-packed-store.ts";
import { closeAll, expectClean, expectWhole, failure, importTree, open, reader, unfinishedImport } from "./packed-world.browser.ts";
import { long } from "./trees.ts";

const connections: IDBDatabase[] = [];
const restore: (() => void)[] = [];
afterEach(async () => {
  for (const undo of restore.splice(0)) undo();
  await closeAll();
});

/** From here on every connection that is opened is noted. */
function watchConnections(): IDBDatabase[] {
  connections.length = 0;
  const open = IDBFactory.prototype.open;
  IDBFactory.prototype.open = function (this: IDBFactory, ...args) {
    const request = open.apply(this, args);
    request.addEventListener("success", () => connections.push(request.result));
    return request;
  };
  restore.push(() => {
    IDBFactory.prototype.open = open;
  });
  return connections;
}

function request<T>(asked: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

const TREE = { text: "text", large: long(1) };

describe("a connection that is lost", () => {
  test.each([
    ["closed without a word", (db: IDBDatabase) => db.close()],
    [
      "closed by the browser, which says so",
      (db: IDBDatabase) => {
        db.close();
        db.dispatchEvent(new Event("close"));
      },
    ],
  ])("is opened again: %s", async (_, lose) => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const info = await importTree(store, TREE);
    expect(connections.length).toBe(1);
    lose(connections[0] as IDBDatabase);
    store.packs.indexeddb.close();
    await expectWhole(store, info);
    expect(connections.length).toBe(2);
    // For writing, too.
    lose(connections[1] as IDBDatabase);
    const other = await importTree(store, { more: "more" });
    await expectWhole(store, other);
    await expectClean(store, await open("indexeddb", name));
  });

  test("is opened again once for all who ask at the same time", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const info = await importTree(store, TREE);
    connections[0]?.close();
    store.packs.indexeddb.close();
    await Promise.all(Array.from({ length: 10 }, () => expectWhole(store, info)));
    expect(connections.length).toBe(2);
  });

  test("in the middle of an import is not noticed by it", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const importing = await unfinishedImport(store, { ...TREE, longer: long(2, 3_000_000) });
    connections[0]?.close();
    await importing.end();
    await expectWhole(store, importing.value);
    await expectClean(store);
  });

  test("within a transaction fails that one, and leaves nothing of it", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const { database } = store;
    const lost = database.write(["meta"], "strict", async (transaction) => {
      await transaction.objectStore("meta").put(7, "roots");
      // What a browser does to the transactions of a connection that it drops.
      transaction.abort();
      connections[0]?.close();
      await transaction.objectStore("meta").put(8, "roots");
    });
    expect(await failure(lost)).toBe("unavailable");
    expect(await store.count("roots")).toBe(0);
  });

  test("is not given up for the late word of an earlier one", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const info = await importTree(store, TREE);
    connections[0]?.close();
    store.packs.indexeddb.close();
    await expectWhole(store, info);
    connections[0]?.dispatchEvent(new Event("close"));
    store.packs.indexeddb.close();
    await expectWhole(store, info);
    expect(connections.length).toBe(2);
  });
});

function deleteDatabase(name: string): Promise<unknown> {
  return request(indexedDB.deleteDatabase(databaseName(name)));
}

async function exists(name: string): Promise<boolean> {
  // WebKit lists one whose first version was never made.
  return (await indexedDB.databases()).some((found) => found.name === databaseName(name) && found.version);
}

/** What a browser does that clears this site's data: no connection is asked. */
async function clear(name: string, connection: IDBDatabase | undefined, how: "told" | "silent"): Promise<void> {
  connection?.close();
  if (how === "told") connection?.dispatchEvent(new Event("close"));
  await deleteDatabase(name);
}

describe("a database that the browser has deleted", () => {
  test.each(["told", "silent"] as const)("closes the store, and is not made again by it: %s", async (how) => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const info = await importTree(store, TREE);
    await clear(name, connections[0], how);
    if (how === "told") await expect.poll(() => store.database.ended.aborted, { timeout: 10_000 }).toBe(true);
    for (let i = 0; i < 2; i++) {
      expect(await failure(reader(store).pathInfos.get(info.storePath.slice(11, 43)))).toBe("closed");
      expect(await failure(importTree(store, TREE))).toBe("closed");
    }
    expect(store.database.isEvicted).toBe(true);
    expect(store.database.ended.reason).toMatchObject({ code: "closed", message: expect.stringContaining(name) });
    expect(await exists(name)).toBe(false);

    const again = await open("indexeddb", name);
    expect(again.database.isEvicted).toBe(false);
    expect(await reader(again).pathInfos.get(info.storePath.slice(11, 43))).toBeUndefined();
    await expectWhole(again, await importTree(again, TREE));
    await expectClean(again);
  });

  test("closes the store though another tab has made a new one of the same name", async () => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    await importTree(store, TREE);
    await clear(name, connections[0], "silent");
    const again = await open("indexeddb", name);
    const info = await importTree(again, { other: "other" });
    expect(await failure(importTree(store, TREE))).toBe("closed");
    expect(store.database.isEvicted).toBe(true);
    await expectWhole(again, info);
    await expectClean(again);
  });

  test("fails an import that is under way, and a transaction that never ends", async () => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const importing = await unfinishedImport(store, { ...TREE, longer: long(2, 3_000_000) });
    const endless = failure(store.database.read("meta", () => new Promise(() => {})));
    await clear(name, connections[0], "told");
    expect(await failure(importing.end())).toBe("closed");
    expect(await endless).toBe("closed");
    const again = await open("indexeddb", name);
    expect(await again.count("generation")).toBe(0);
  });

  test("fails a transaction that never ends though the database is still there", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const endless = failure(store.database.read("meta", () => new Promise(() => {})));
    await store.count("roots");
    connections[0]?.close();
    connections[0]?.dispatchEvent(new Event("close"));
    expect(await endless).toBe("unavailable");
    expect(await store.count("roots")).toBe(0);
  });

  test("is taken for deleted if the browser gives no answer at all, as Chromium does when it clears a site's data", async () => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const { databases } = IDBFactory.prototype;
    IDBFactory.prototype.databases = () => new Promise(() => {});
    restore.push(() => {
      IDBFactory.prototype.databases = databases;
    });
    connections[0]?.close();
    connections[0]?.dispatchEvent(new Event("close"));
    expect(await failure(store.count("roots"))).toBe("closed");
    expect(store.database.isEvicted).toBe(true);
  });

  test("is not taken for deleted as long as it is there", async () => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const info = await importTree(store, TREE);
    connections[0]?.close();
    connections[0]?.dispatchEvent(new Event("close"));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(store.database.ended.aborted).toBe(false);
    store.packs.indexeddb.close();
    await expectWhole(store, info);
  });
});

/** A connection of version 1, as an older page has it, which does not let go. */
async function holdOldVersion(name: string): Promise<IDBDatabase> {
  const opening = indexedDB.open(databaseName(name), 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("pathInfos");
  return request(opening);
}

describe("a database that can't be opened yet", () => {
  test("because another tab has an older version open says so, and is opened when that tab is closed", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    const told: string[] = [];
    const database = new StoreDatabase(name, (what) => told.push(what));
    const id = database.read("meta", (meta) => meta.get("id"));
    await expect.poll(() => told, { timeout: 10_000 }).toContain("waiting for another tab");
    old.close();
    expect(await id).toMatch(/-/);
    await database.close();
    expect(told.filter((what) => what === "waiting for another tab")).toHaveLength(1);
  });

  test("because it is being deleted says that it waits", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    indexedDB.deleteDatabase(databaseName(name));
    const told: string[] = [];
    const database = new StoreDatabase(name, (what) => told.push(what));
    const id = database.read("meta", (meta) => meta.get("id"));
    await expect.poll(() => told, { timeout: 10_000 }).toContain("waiting for the database");
    old.close();
    expect(await id).toMatch(/-/);
    await database.close();
  });

  test("can be closed; when it comes, its connection is let go", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    const database = new StoreDatabase(name);
    const id = failure(database.read("meta", (meta) => meta.get("id")));
    await database.close();
    old.close();
    expect(await id).toBe("closed");
    // Nobody holds it open.
    await deleteDatabase(name);
    expect(await exists(name)).toBe(false);
  });

  test("to be deleted says so too", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    const told: string[] = [];
    const deleting = deletePackedStore(name, (what) => told.push(what));
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(["waiting for another tab"]);
    old.close();
    await deleting;
    expect(await exists(name)).toBe(false);
  });
});

describe("closed", () => {
  test("for good when another one wants to upgrade the database", async () => {
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const info = await importTree(store, TREE);
    const upgrading = indexedDB.open(databaseName(name), 99);
    const upgraded = await request(upgrading);
    store.packs.indexeddb.close();
    expect(await failure(expectWhole(store, info))).toBe("closed");
    expect(await failure(importTree(store, { more: "more" }))).toBe("closed");
    upgraded.close();
    // It is of a later version now, which nobody knows how to read.
    expect(await failure(store.database.read("meta", (meta) => meta.get("id")))).toBe("closed");
    const database = new StoreDatabase(name);
    expect(await failure(database.read("meta", (meta) => meta.get("id")))).toBe("unavailable");
  });

  test("for good when the store is deleted, an import at the end of its work too", async () => {
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const importing = await unfinishedImport(store, TREE);
    await deletePackedStore(name);
    expect(await failure(importing.end())).toBe("closed");
    expect(await failure(importTree(store, TREE))).toBe("closed");
    const again = await open("indexeddb", name);
    expect(await reader(again).pathInfos.get(importing.value.storePath.slice(11, 43))).toBeUndefined();
    await expectWhole(again, await importTree(again, TREE));
  });

  test("by its owner", async () => {
    const store = await open("indexeddb");
    await store.database.close();
    expect(await failure(importTree(store, TREE))).toBe("closed");
    expect(await failure(store.refresh())).toBe("closed");
  });
});

test("a transaction whose work fails leaves nothing, and rejects with what failed", async () => {
  const store = await open("indexeddb");
  const { database } = store;
  const problem = new Error("the work failed");
  const writing = database.write(["meta"], "strict", async (transaction) => {
    await transaction.objectStore("meta").put(7, "roots");
    throw problem;
  });
  await expect(writing).rejects.toBe(problem);
  expect(await store.count("roots")).toBe(0);
  const invalid = database.write(["meta"], "strict", async (transaction) => {
    await transaction.objectStore("meta").put(7, "roots");
    await transaction.objectStore("meta").put((() => {}) as never, "generation");
  });
  expect(await failure(invalid)).toBe("unavailable");
  expect(await store.count("roots")).toBe(0);
});
