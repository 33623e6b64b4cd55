import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchCleared } from "../../src/browser/cleared-storage.ts";
import { databaseName, opfsDirectory, STORES_DIRECTORY } from "../../src/thread/store-places.ts";
import { hasOpfs } from "../conformance/packed-backend.browser.ts";

const OPFS = await hasOpfs();

/** Milliseconds until a watch looks for the storage of a silent worker. */
const SILENCE = 8000;

beforeEach(() => {
  // The databases and directories stay real.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

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

/**
 * Watches a store, and returns the losses that the watch reports. It looks for the storage three
 * times, unless it ends or the worker answers.
 */
async function told(storage: "opfs" | "indexeddb", name: string, ping: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const end = watchCleared({ name, storage }, ping, (what) => seen.push(what));
  for (let i = 0; i < 3; i++) {
    const before = seen.length;
    await vi.advanceTimersByTimeAsync(SILENCE);
    // The watch has the browser's answers if it reports a loss, or if its next wait has begun.
    // `expect.poll` would let the fake timers advance.
    while (seen.length === before && vi.getTimerCount() === 0) await indexedDB.databases();
    if (vi.getTimerCount() === 0) break;
  }
  end();
  return seen;
}

const silent = (): Promise<unknown> => new Promise(() => {});
const answering = (): Promise<unknown> => Promise.resolve();

test("a silent worker's database is looked for, and its loss is reported once", async () => {
  const [gone, whole, answers] = [1, 2, 3].map(() => crypto.randomUUID()) as [string, string, string];
  await makeDatabase(whole);
  expect(await told("indexeddb", gone, silent)).toEqual(["database"]);
  // The database exists: its worker may just be busy.
  expect(await told("indexeddb", whole, silent)).toEqual([]);
  // The database is gone, but a worker that answers will notice this itself.
  expect(await told("indexeddb", answers, answering)).toEqual([]);
});

test.skipIf(!OPFS)("a silent worker's files are looked for too (OPFS)", async () => {
  const [lost, whole] = [`a.b*${crypto.randomUUID()}`, `a.b*${crypto.randomUUID()}`] as const;
  for (const name of [lost, whole]) await makeDatabase(name);
  await makeDirectory(whole);
  expect(await told("opfs", lost, silent)).toEqual(["files"]);
  expect(await told("opfs", whole, silent)).toEqual([]);
});
