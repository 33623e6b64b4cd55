import { expect, test } from "vitest";
import { openStore as openInThread } from "../src/in-thread.ts";
import { openStore } from "../src/index.ts";
import { failAt, watchResources } from "./browser/watched-resources.browser.ts";

/** The page stands for a service worker here: neither has synchronous access to files. */
test("a store in the calling thread and a page's worker see each other's writes", async () => {
  const name = crypto.randomUUID();
  const workerUrl = new URL("../src/worker/store-worker.ts", import.meta.url);
  const hashWorkerUrl = new URL("../src/worker/hash-worker.ts", import.meta.url);
  const page = await openStore(name, { workerUrl, hashWorkerUrl });
  const here = await openInThread(name);
  expect(here.storage).toBe("indexeddb");

  const theirs = await page.importDirectory([new File(["from the page"], "a")], { name: "theirs" });
  const read = await here.file(theirs.storePath, "a");
  expect(await read?.text()).toBe("from the page");

  const changed = new Promise((resolve) => page.addEventListener("change", resolve, { once: true }));
  const ours = await here.importDirectory([new File(["from this thread"], "b")], { name: "ours" });
  await changed;
  const readThere = await page.file(ours.storePath, "b");
  expect(await readThere?.text()).toBe("from this thread");
  expect(await page.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [] });

  await here.close();
  await expect(here.usage()).rejects.toMatchObject({ code: "closed" });
  await page.close();
});

test("opening in the calling thread reports why it waits, and ends at an abort", async () => {
  const name = crypto.randomUUID();
  const old = indexedDB.open(`tvix-store-web:${name}`, 1);
  await new Promise((resolve, reject) => {
    old.onsuccess = resolve;
    old.onerror = reject;
    old.onupgradeneeded = () => old.result.createObjectStore("pathInfos");
  });
  const controller = new AbortController();
  const reason = { why: "the user left" };
  const phases: string[] = [];
  const opening = openInThread(name, { signal: controller.signal, onProgress: ({ phase }) => phases.push(phase) });
  opening.catch(() => {});
  await expect.poll(() => phases, { timeout: 10_000 }).toContain("waiting for another tab");
  controller.abort(reason);
  await expect(opening).rejects.toBe(reason);
  old.result.close();
  const store = await openInThread(name);
  expect((await store.usage()).storePaths).toBe(0);
  await store.close();
});

test("a store in the calling thread is closed after the browser deletes its database", async () => {
  const name = crypto.randomUUID();
  const { open } = IDBFactory.prototype;
  let connection: IDBDatabase | undefined;
  IDBFactory.prototype.open = function (this: IDBFactory, ...args) {
    const request = open.apply(this, args);
    request.addEventListener("success", () => {
      connection = request.result;
    });
    return request;
  };
  const store = await openInThread(name).finally(() => {
    IDBFactory.prototype.open = open;
  });
  const changed = new Promise((resolve) => store.addEventListener("change", resolve, { once: true }));
  connection?.close();
  indexedDB.deleteDatabase(`tvix-store-web:${name}`);
  connection?.dispatchEvent(new Event("close"));
  await changed;
  expect(store.losses.evicted).toBe(true);
  await expect(store.usage()).rejects.toMatchObject({ code: "closed" });
  await store.close();
});

test("a store without Web Locks works, but can't collect garbage", async () => {
  const { locks } = navigator;
  Object.defineProperty(navigator, "locks", { value: undefined, configurable: true });
  try {
    const store = await openInThread(crypto.randomUUID());
    const info = await store.importDirectory([new File(["without locks"], "a")], { name: "x" });
    const file = await store.file(info.storePath, "a");
    expect(await file?.text()).toBe("without locks");
    await expect(store.collectGarbage()).rejects.toMatchObject({ code: "unavailable" });
    expect(await store.delete(info.storePath)).toBe(true);
    await store.close();
  } finally {
    Object.defineProperty(navigator, "locks", { value: locks, configurable: true });
  }
});

test("a failed or aborted step of opening in the calling thread leaves nothing", async () => {
  const name = crypto.randomUUID();
  // The server has the first channel, and the page's side the second one.
  for (const [kind, count] of [
    ["database", 0],
    ["channel", 0],
    ["channel", 1],
  ] as const) {
    const { failing, hasFailed } = failAt(kind, count);
    const resources = watchResources(failing);
    try {
      await expect(openInThread(name)).rejects.toThrow();
      expect(hasFailed()).toBe(true);
      await expect.poll(() => resources.left()).toEqual([]);
    } finally {
      resources.restore();
    }
  }
  const reason = { why: "the user left" };
  for (const delay of [0, 5, 20]) {
    const resources = watchResources(() => {});
    try {
      const controller = new AbortController();
      const opening = openInThread(name, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), delay);
      const ended = await opening.then(
        (store) => store.close(),
        (error: unknown) => error,
      );
      expect([undefined, reason]).toContain(ended);
      await expect.poll(() => resources.left(), { timeout: 10_000 }).toEqual([]);
    } finally {
      resources.restore();
    }
  }
});
