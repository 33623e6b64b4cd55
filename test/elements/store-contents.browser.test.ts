import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StoreContents } from "../../src/elements/store-contents.ts";
import { type PathInfo, type Store, StoreError } from "../../src/index.ts";
import { each, failing, fakeStore, type Held, held, pathInfo } from "./fake-store.browser.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Contents with a host that counts its updates. */
function makeContents(): { contents: StoreContents; updates: () => number } {
  let updates = 0;
  const contents = new StoreContents({
    addController() {},
    removeController() {},
    requestUpdate: () => {
      updates += 1;
    },
    updateComplete: Promise.resolve(true),
  });
  return { contents, updates: () => updates };
}

const INFOS = ["a", "b"].map((name) => pathInfo(name));

/** A store whose lists are those that `lists` gives, in this order. */
function listingStore(...lists: (() => AsyncIterable<PathInfo>)[]): { store: Store; signals: AbortSignal[] } {
  const signals: AbortSignal[] = [];
  const store = fakeStore({
    async *pathInfos({ signal } = {}) {
      if (signal) signals.push(signal);
      const list = lists[signals.length - 1];
      if (list) yield* list();
    },
  });
  return { store, signals };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

test("reads the whole list once", async () => {
  const { contents, updates } = makeContents();
  const { store, signals } = listingStore(() => each(INFOS));
  contents.store = store;
  contents.store = store;
  expect([contents.paths, contents.complete]).toEqual([[], false]);
  await settle();
  expect([contents.paths, contents.complete, contents.fault]).toEqual([INFOS, true, undefined]);
  expect([signals.length, updates()]).toEqual([1, 1]);
});

test("shows the first 500 paths of a long list before the others arrive", async () => {
  const rest: Held<void> = held();
  const many = Array.from({ length: 501 }, (_, i) => pathInfo(`p${i}`));
  const { contents } = makeContents();
  contents.store = listingStore(async function* () {
    yield* many.slice(0, 500);
    await rest.promise;
    yield* many.slice(500);
  }).store;
  await expect.poll(() => contents.paths.length).toBe(500);
  expect(contents.complete).toBe(false);
  rest.resolve();
  await expect.poll(() => contents.paths.length).toBe(501);
  expect(contents.complete).toBe(true);
});

test("many changes in a row lead to one reading, which keeps the old list until it is complete", async () => {
  const { contents } = makeContents();
  const { store, signals } = listingStore(
    () => each(INFOS),
    () => each(INFOS.slice(1)),
  );
  contents.store = store;
  await settle();
  for (let i = 0; i < 5; i++) store.dispatchEvent(new Event("change"));
  vi.advanceTimersByTime(149);
  expect(signals.length).toBe(1);
  vi.advanceTimersByTime(1);
  expect([signals.length, contents.paths.length]).toEqual([2, 2]);
  await settle();
  expect([contents.paths, signals.length]).toEqual([INFOS.slice(1), 2]);
});

test("a new reading aborts the one before", async () => {
  const never = new Promise<void>(() => {});
  const { contents } = makeContents();
  const { store, signals } = listingStore(
    async function* () {
      await never;
      yield* INFOS;
    },
    () => each(INFOS),
  );
  contents.store = store;
  store.dispatchEvent(new Event("change"));
  vi.advanceTimersByTime(150);
  await settle();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  expect(contents.complete).toBe(true);
});

test("another store clears the list, and nothing comes late of the earlier one", async () => {
  const late: Held<void> = held();
  const { contents } = makeContents();
  const first = listingStore(async function* () {
    yield* INFOS;
    await late.promise;
  });
  contents.store = first.store;
  await settle();
  contents.store = listingStore(() => each(INFOS.slice(0, 1))).store;
  expect([contents.paths, contents.complete]).toEqual([[], false]);
  late.resolve();
  await settle();
  expect(contents.paths).toEqual(INFOS.slice(0, 1));
  first.store.dispatchEvent(new Event("change"));
  vi.advanceTimersByTime(1000);
  expect(first.signals.length).toBe(1);
  contents.store = undefined;
  expect([contents.paths, contents.complete]).toEqual([[], false]);
});

test("a failure is told in words, until a reading succeeds", async () => {
  const { contents, updates } = makeContents();
  const { store } = listingStore(
    () => failing(new StoreError("closed", "the store is closed")),
    () => each(INFOS),
  );
  contents.store = store;
  await settle();
  expect(contents.fault).toContain("The store is closed");
  expect([contents.complete, updates()]).toEqual([false, 1]);
  store.dispatchEvent(new Event("change"));
  vi.advanceTimersByTime(150);
  await settle();
  expect([contents.fault, contents.complete]).toEqual([undefined, true]);
});

test("a disconnected host aborts the reading and hears of no change; it reads again when it comes back", async () => {
  const { contents } = makeContents();
  const { store, signals } = listingStore(
    () => each(INFOS),
    () => each(INFOS),
  );
  contents.store = store;
  store.dispatchEvent(new Event("change"));
  contents.hostDisconnected();
  store.dispatchEvent(new Event("change"));
  vi.advanceTimersByTime(1000);
  await settle();
  expect([signals[0]?.aborted, signals.length, contents.complete]).toEqual([true, 1, false]);
  contents.hostConnected();
  await settle();
  expect([signals.length, contents.complete]).toEqual([2, true]);
});
