import { afterEach, describe, expect, test } from "vitest";
import type { Progress } from "../../src/progress.ts";
import { databaseName } from "../../src/thread/store-places.ts";
import { deletePackedStore, openPackedStore } from "../../src/worker/open-packed-store.ts";
import type { PackedStore } from "../../src/worker/packed-store.ts";
import { watchResources } from "../browser/watched-resources.browser.ts";

const opened: PackedStore[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) {
    store.close();
    await store.database.close();
  }
});

async function open(...args: Parameters<typeof openPackedStore>): Promise<PackedStore> {
  const store = await openPackedStore(...args);
  opened.push(store);
  return store;
}

function request<T>(asked: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

/** Opens a connection that ignores requests to close it, as an older page in another tab does. */
async function holdOldVersion(name: string): Promise<IDBDatabase> {
  const opening = indexedDB.open(databaseName(name), 1);
  opening.onupgradeneeded = () => {
    for (const store of ["pathInfos", "chunks", "blobs", "directories"]) opening.result.createObjectStore(store);
  };
  return request(opening);
}

async function exists(name: string): Promise<boolean> {
  return (await indexedDB.databases()).some((found) => found.name === databaseName(name) && found.version);
}

/** Runs `attempt`, and expects that no connection to a database stays open. */
async function expectNothingLeft(attempt: () => Promise<unknown>): Promise<void> {
  const resources = watchResources(() => {});
  try {
    await attempt();
    await expect.poll(() => resources.left()).toEqual([]);
    expect(resources.acquired).toMatchObject({ database: 1 });
  } finally {
    resources.restore();
  }
}

test("a page has no synchronous files, so its own packs go to IndexedDB, and OPFS is refused", async () => {
  const name = crypto.randomUUID();
  await expectNothingLeft(() => expect(openPackedStore(name, "opfs")).rejects.toMatchObject({ code: "unavailable" }));
  for (const storage of ["auto", "indexeddb"] as const) expect((await open(name, storage)).storage).toBe("indexeddb");
});

test("an aborted attempt rejects with its reason, and leaves no connection", async () => {
  const signal = AbortSignal.abort("enough");
  await expectNothingLeft(() => expect(openPackedStore(crypto.randomUUID(), "auto", { signal })).rejects.toBe("enough"));
});

describe("while another tab has an older version open", () => {
  test("opening reports that it waits, then upgrades, and reports nothing more", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    const transaction = old.transaction("chunks", "readwrite");
    await request(transaction.objectStore("chunks").put(new Uint8Array([1]), new Uint8Array(32)));
    const told: Progress[] = [];
    const opening = open(name, "indexeddb", { onProgress: (progress) => told.push(progress) });
    await expect.poll(() => told).toContainEqual({ phase: "waiting for another tab", unit: "none", loaded: 0 });
    old.close();
    const store = await opening;
    expect(told.at(-1)).toEqual({ phase: "upgrading", unit: "objects", loaded: 1, total: 1 });
    expect(store.table.count).toBe(1);
  });

  test("deleting reports that it waits", async () => {
    const name = crypto.randomUUID();
    const old = await holdOldVersion(name);
    const told: string[] = [];
    const deleting = deletePackedStore(name, (what) => told.push(what));
    await expect.poll(() => told).toEqual(["waiting for another tab"]);
    old.close();
    await deleting;
    expect(await exists(name)).toBe(false);
  });
});

test("packs that a killed tab left are deleted after the store is opened", async () => {
  const name = crypto.randomUUID();
  const first = await open(name, "indexeddb");
  const writer = await first.packs.indexeddb.create("left");
  await writer.append(new Uint8Array(10));
  await writer.finish("never");
  const second = await open(name, "indexeddb");
  await expect.poll(() => second.packs.indexeddb.list()).toEqual([]);
});

test.each([
  ["SecurityError", "none"],
  ["InvalidStateError", "unavailable"],
  ["NotAllowedError", "denied"],
])("a deletion whose files fail with a %s has the code %s", async (name, code) => {
  const store = crypto.randomUUID();
  // WebKitGTK has no `navigator.storage`.
  const storage = { getDirectory: () => Promise.reject(new DOMException("no", name)) };
  Object.defineProperty(navigator, "storage", { value: storage, configurable: true });
  try {
    const deleting = deletePackedStore(store);
    if (code !== "none") await expect(deleting).rejects.toMatchObject({ code, message: expect.stringContaining(store) });
    else await deleting;
  } finally {
    Reflect.deleteProperty(navigator, "storage");
  }
});
