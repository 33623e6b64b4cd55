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

/** Records every connection that is opened from now on. */
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

/** Makes all timers end 50 times as fast, from now on. */
function hurryTimers(): void {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((callback: () => void, delay = 0) => setTimeout(callback, delay / 50)) as typeof setTimeout;
  restore.push(() => {
    globalThis.setTimeout = setTimeout;
  });
}

/**
 * Makes the waits for answers end 50 times as fast too. Only for tests in which no answer comes: a
 * busy machine may need long for an answer.
 */
function hurryAnswers(): void {
  const { timeout } = AbortSignal;
  AbortSignal.timeout = (delay) => timeout.call(AbortSignal, delay / 50);
  restore.push(() => {
    AbortSignal.timeout = timeout;
  });
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
    // Writing opens the connection again too.
    lose(connections[1] as IDBDatabase);
    const other = await importTree(store, { more: "more" });
    await expectWhole(store, other);
    await expectClean(store, await open("indexeddb", name));
  });

  test("is opened again once for concurrent operations", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const info = await importTree(store, TREE);
    connections[0]?.close();
    store.packs.indexeddb.close();
    await Promise.all(Array.from({ length: 10 }, () => expectWhole(store, info)));
    expect(connections.length).toBe(2);
  });

  test("in the middle of an import does not affect the import", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const importing = await unfinishedImport(store, { ...TREE, longer: long(2, 3_000_000) });
    connections[0]?.close();
    await importing.end();
    await expectWhole(store, importing.value);
    await expectClean(store);
  });

  test("within a transaction fails it, and leaves nothing of it", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    const { database } = store;
    const lost = database.write(["meta"], "strict", async (transaction) => {
      await transaction.objectStore("meta").put(7, "roots");
      // A browser aborts the transactions of a connection that it drops.
      transaction.abort();
      connections[0]?.close();
      await transaction.objectStore("meta").put(8, "roots");
    });
    expect(await failure(lost)).toBe("unavailable");
    expect(await store.count("roots")).toBe(0);
  });

  test("is not closed because of a late event of an earlier connection", async () => {
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
  // WebKit also lists a database whose first version was never completed.
  return (await indexedDB.databases()).some((found) => found.name === databaseName(name) && found.version);
}

/**
 * Deletes the database as a browser does that clears the site's data, without a `versionchange`
 * event.
 */
async function clear(name: string, connection: IDBDatabase | undefined, how: "told" | "silent"): Promise<void> {
  connection?.close();
  if (how === "told") connection?.dispatchEvent(new Event("close"));
  await deleteDatabase(name);
}

describe("a database that the browser has deleted", () => {
  test.each(["told", "silent"] as const)("closes the store, which does not create it again: %s", async (how) => {
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

  test("closes the store, although another tab has created a new one with the same name", async () => {
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

  test("fails a running import, and a transaction that never ends", async () => {
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

  test("fails a transaction that never ends, although the database still exists", async () => {
    const connections = watchConnections();
    const store = await open("indexeddb");
    hurryTimers();
    const endless = failure(store.database.read("meta", () => new Promise(() => {})));
    await store.count("roots");
    connections[0]?.close();
    connections[0]?.dispatchEvent(new Event("close"));
    expect(await endless).toBe("unavailable");
    expect(await store.count("roots")).toBe(0);
  });

  test("is assumed if the browser never answers, as in Chromium when it clears a site's data", async () => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const { databases } = IDBFactory.prototype;
    IDBFactory.prototype.databases = () => new Promise(() => {});
    restore.push(() => {
      IDBFactory.prototype.databases = databases;
    });
    hurryTimers();
    hurryAnswers();
    connections[0]?.close();
    connections[0]?.dispatchEvent(new Event("close"));
    // On a busy machine, the first operation may give up before the database counts as deleted.
    store.count("roots").catch(() => {});
    await expect.poll(() => store.database.isEvicted).toBe(true);
    expect(await failure(store.count("roots"))).toBe("closed");
  });

  test("is not assumed while the database exists", async () => {
    const connections = watchConnections();
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const info = await importTree(store, TREE);
    const { databases } = IDBFactory.prototype;
    let checks = 0;
    IDBFactory.prototype.databases = async function () {
      const found = await databases.call(this);
      checks++;
      return found;
    };
    restore.push(() => {
      IDBFactory.prototype.databases = databases;
    });
    hurryTimers();
    connections[0]?.close();
    connections[0]?.dispatchEvent(new Event("close"));
    // One check soon after the loss, and two later ones.
    await expect.poll(() => checks).toBe(3);
    expect(store.database.ended.aborted).toBe(false);
    store.packs.indexeddb.close();
    await expectWhole(store, info);
  });
});

/**
 * Opens a connection of version 1, as an older page has it. The connection ignores upgrade
 * requests.
 */
async function holdOldVersion(name: string): Promise<IDBDatabase> {
  const opening = indexedDB.open(databaseName(name), 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("pathInfos");
  return request(opening);
}

describe("a database that can't be opened yet", () => {
  test("because another tab has an older version open reports this, and opens when that tab closes it", async () => {
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

  test("because it is being deleted reports that it waits", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    indexedDB.deleteDatabase(databaseName(name));
    hurryTimers();
    const told: string[] = [];
    const database = new StoreDatabase(name, (what) => told.push(what));
    const id = database.read("meta", (meta) => meta.get("id"));
    await expect.poll(() => told, { timeout: 10_000 }).toContain("waiting for the database");
    old.close();
    expect(await id).toMatch(/-/);
    await database.close();
  });

  test("can be closed; a connection that opens later is closed too", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    const database = new StoreDatabase(name);
    const id = failure(database.read("meta", (meta) => meta.get("id")));
    hurryAnswers();
    await database.close();
    old.close();
    expect(await id).toBe("closed");
    // No connection remains, so the deletion does not wait.
    await deleteDatabase(name);
    expect(await exists(name)).toBe(false);
  });
});

describe("a store is closed", () => {
  test("for good when another connection upgrades the database", async () => {
    const name = crypto.randomUUID();
    const store = await open("indexeddb", name);
    const info = await importTree(store, TREE);
    const upgrading = indexedDB.open(databaseName(name), 99);
    const upgraded = await request(upgrading);
    store.packs.indexeddb.close();
    expect(await failure(expectWhole(store, info))).toBe("closed");
    expect(await failure(importTree(store, { more: "more" }))).toBe("closed");
    upgraded.close();
    // The database now has a later version, which this code can't read.
    expect(await failure(store.database.read("meta", (meta) => meta.get("id")))).toBe("closed");
    const database = new StoreDatabase(name);
    expect(await failure(database.read("meta", (meta) => meta.get("id")))).toBe("unavailable");
  });

  test("for good when the store is deleted, even for an import that is almost finished", async () => {
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
});
