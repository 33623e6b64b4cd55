import { afterEach, expect, test } from "vitest";
import { watchLife } from "../../src/browser/worker-life.ts";

const ends: (() => void)[] = [];
const originalQuery = LockManager.prototype.query;
afterEach(() => {
  LockManager.prototype.query = originalQuery;
  for (const end of ends.splice(0)) end();
});

/** Holds a lock until `release` is called. */
async function hold(): Promise<{ readonly name: string; readonly release: () => void }> {
  const name = crypto.randomUUID();
  let release = (): void => {};
  await new Promise<void>((held) => {
    void navigator.locks.request(name, () => {
      held();
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    });
  });
  return { name, release };
}

function watch(lock: string, ping: () => Promise<unknown>): { deaths: number; pings: number } {
  const seen = { deaths: 0, pings: 0 };
  const counted = (): Promise<unknown> => {
    seen.pings++;
    return ping();
  };
  ends.push(watchLife(lock, counted, () => seen.deaths++));
  return seen;
}

const silent = (): Promise<unknown> => new Promise(() => {});
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test("a worker is dead if its lock is free and it does not answer", async () => {
  const { name, release } = await hold();
  const seen = watch(name, silent);
  await pause(500);
  expect(seen).toEqual({ deaths: 0, pings: 0 });
  release();
  await expect.poll(() => seen.deaths, { timeout: 10_000 }).toBe(1);
});

test.each([
  ["answers", () => Promise.resolve()],
  ["answers late", () => pause(1000)],
  ["answers with an error", () => Promise.reject(new Error("no"))],
])("a worker whose lock is free lives if it %s", async (_, ping) => {
  const { name, release } = await hold();
  const seen = watch(name, ping);
  await pause(100);
  release();
  await expect.poll(() => seen.pings, { timeout: 10_000 }).toBe(1);
  await pause(3000);
  expect(seen.deaths).toBe(0);
});

test("a worker whose lock is not visible is not considered dead, although the lock is free here", async () => {
  const { name } = await hold();
  // This happens in Chromium after the site's data was cleared: the worker's locks are separate
  // from the page's.
  const stranger = crypto.randomUUID();
  LockManager.prototype.query = async () => ({ held: [{ name, mode: "exclusive", clientId: "other" }], pending: [] });
  const seen = watch(stranger, silent);
  await pause(3000);
  expect(seen.deaths).toBe(0);
});

test("ending the watch releases the lock request and stops the pings", async () => {
  const { name, release } = await hold();
  const seen = watch(name, silent);
  await pause(100);
  ends.splice(0)[0]?.();
  const pending = async () => (await originalQuery.call(navigator.locks)).pending?.filter((lock) => lock.name === name).length;
  await expect.poll(pending).toBe(0);
  release();
  await pause(2500);
  expect(seen).toEqual({ deaths: 0, pings: 0 });
});
