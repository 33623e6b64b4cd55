import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CurrentUsage } from "../../src/elements/storage-usage.ts";
import { type Store, StoreError } from "../../src/index.ts";
import type { StorageUsage } from "../../src/thread/maintenance-api.ts";
import { fakeStore, type Held, held, USAGE } from "./fake-store.browser.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Fixture {
  readonly current: CurrentUsage;
  readonly store: Store;
  /** The counts that were started; the test ends them. */
  readonly counts: Held<StorageUsage>[];
  updates(): number;
}

function follow(paused = false): Fixture {
  let updates = 0;
  const current = new CurrentUsage({
    addController() {},
    removeController() {},
    requestUpdate: () => {
      updates += 1;
    },
    updateComplete: Promise.resolve(true),
  });
  const counts: Held<StorageUsage>[] = [];
  const store = countingStore(counts);
  current.follow(store, paused);
  return { current, store, counts, updates: () => updates };
}

function countingStore(counts: Held<StorageUsage>[]): Store {
  return fakeStore({
    usage() {
      const count = held<StorageUsage>();
      counts.push(count);
      return count.promise;
    },
  });
}

/** Lets promises settle. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

const change = (store: Store): boolean => store.dispatchEvent(new Event("change"));

test("counts at once, and tells the host", async () => {
  const { current, counts, updates } = follow();
  expect([current.usage, counts.length]).toEqual([undefined, 1]);
  counts[0]?.resolve(USAGE);
  await settle();
  expect([current.usage, current.fault, updates()]).toEqual([USAGE, undefined, 1]);
});

test("many changes in a row lead to one count, 400 ms after the first", async () => {
  const { store, counts } = follow();
  counts[0]?.resolve(USAGE);
  await settle();
  for (let i = 0; i < 10; i++) {
    change(store);
    vi.advanceTimersByTime(30);
  }
  expect(counts.length).toBe(1);
  vi.advanceTimersByTime(99);
  expect(counts.length).toBe(1);
  vi.advanceTimersByTime(1);
  expect(counts.length).toBe(2);
});

test("one count runs at a time, and a change during it leads to another", async () => {
  const { current, counts } = follow();
  void current.refresh();
  void current.refresh();
  expect(counts.length).toBe(1);
  counts[0]?.resolve(USAGE);
  await settle();
  expect(counts.length).toBe(2);
  counts[1]?.resolve({ ...USAGE, stored: 7 });
  await settle();
  expect([current.usage?.stored, counts.length]).toEqual([7, 2]);
});

test("while paused, nothing is counted", async () => {
  const { current, store, counts } = follow(true);
  change(store);
  vi.advanceTimersByTime(1000);
  expect(counts.length).toBe(0);
  current.follow(store, false);
  expect(counts.length).toBe(1);
});

test("a pause keeps the figures, another store clears them, and a late count of the earlier store is dropped", async () => {
  const { current, store, counts } = follow();
  counts[0]?.resolve(USAGE);
  await settle();
  current.follow(store, true);
  expect(current.usage).toBe(USAGE);
  current.follow(store, false);
  const others: Held<StorageUsage>[] = [];
  current.follow(countingStore(others), false);
  expect(current.usage).toBeUndefined();
  counts[1]?.resolve({ ...USAGE, stored: 1 });
  await settle();
  expect([current.usage, others.length]).toEqual([undefined, 1]);
  others[0]?.resolve({ ...USAGE, stored: 2 });
  await settle();
  expect(current.usage?.stored).toBe(2);
});

test("a failure is told in words, until a count succeeds; the last figures stay", async () => {
  const { current, counts, updates } = follow();
  counts[0]?.resolve(USAGE);
  await settle();
  const again = current.refresh();
  counts[1]?.reject(new StoreError("unavailable", "the worker is gone"));
  await again;
  expect([current.fault, current.usage, updates()]).toEqual(["The worker is gone.", USAGE, 2]);
  const third = current.refresh();
  counts[2]?.resolve(USAGE);
  await third;
  expect(current.fault).toBeUndefined();
});

test("a disconnected host hears of no change, also not of an earlier one", async () => {
  const { current, store, counts } = follow();
  counts[0]?.resolve(USAGE);
  await settle();
  change(store);
  current.hostDisconnected();
  change(store);
  vi.advanceTimersByTime(1000);
  expect(counts.length).toBe(1);
  current.hostConnected();
  expect(counts.length).toBe(2);
});
