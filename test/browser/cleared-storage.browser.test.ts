import { expect, test } from "vitest";
import { watchCleared } from "../../src/browser/cleared-storage.ts";
import { databaseName, opfsDirectory, STORES_DIRECTORY } from "../../src/thread/store-places.ts";
import { hasOpfs } from "../conformance/packed-backend.browser.ts";

const OPFS = await hasOpfs();

/** Milliseconds: longer than a worker may be silent. */
const LONG_SILENCE = 12_000;

async function makeDatabase(name: string): Promise<void> {
  const request = indexedDB.open(databaseName(name), 2);
  await new Promise<void>((resolve, reject) => {
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
  request.result.close();
}

async function makeDirectory(name: string): Promise<void> {
  const all = await (await navigator.storage.getDirectory()).getDirectoryHandle(STORES_DIRECTORY, { create: true });
  await all.getDirectoryHandle(opfsDirectory(name), { create: true });
}

/** Watches a store for `LONG_SILENCE`, and returns the losses that the watch reports. */
async function told(storage: "opfs" | "indexeddb", name: string, ping: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const end = watchCleared({ name, storage }, ping, (what) => seen.push(what));
  await new Promise((resolve) => setTimeout(resolve, LONG_SILENCE));
  end();
  return seen;
}

const silent = (): Promise<unknown> => new Promise(() => {});
const answering = (): Promise<unknown> => Promise.resolve();

// Both tests wait for long, so they run at the same time.
test.concurrent("a silent worker's database is looked for, and its loss is reported once", async () => {
  const [gone, whole, answers] = [1, 2, 3].map(() => crypto.randomUUID()) as [string, string, string];
  await makeDatabase(whole);
  const found = await Promise.all([
    told("indexeddb", gone, silent),
    // The database exists: its worker may just be busy.
    told("indexeddb", whole, silent),
    // The database is gone, but a worker that answers will notice this itself.
    told("indexeddb", answers, answering),
  ]);
  expect(found).toEqual([["database"], [], []]);
});

test("a silent worker's files are looked for too (OPFS)", { concurrent: true, skip: !OPFS }, async () => {
  const [lost, whole] = [`a.b*${crypto.randomUUID()}`, `a.b*${crypto.randomUUID()}`] as const;
  for (const name of [lost, whole]) await makeDatabase(name);
  await makeDirectory(whole);
  const found = await Promise.all([told("opfs", lost, silent), told("opfs", whole, silent)]);
  expect(found).toEqual([["files"], []]);
});
