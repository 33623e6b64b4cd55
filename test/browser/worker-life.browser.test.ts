import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchLife } from "../../src/browser/worker-life.ts";
import { pause } from "../../src/pause.ts";

const ends: (() => void)[] = [];
const originalQuery = LockManager.prototype.query;
beforeEach(() => {
  // The locks stay real.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  LockManager.prototype.query = originalQuery;
  for (const end of ends.splice(0)) end();
  vi.useRealTimers();
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

/** Number of requests that wait for a lock. */
async function waiting(name: string): Promise<number> {
  const { pending = [] } = await originalQuery.call(navigator.locks);
  return pending.filter((lock) => lock.name === name).length;
}

/** Waits for real locks. `expect.poll` would also let the fake timers advance. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await originalQuery.call(navigator.locks);
}

/** Resolves when the browser has granted the free locks that were requested before. */
async function granted(): Promise<void> {
  for (let i = 0; i < 3; i++) await navigator.locks.request(crypto.randomUUID(), () => {});
}

const silent = (): Promise<unknown> => new Promise(() => {});

test("a worker is dead if its lock is free and it does not answer", async () => {
  const { name, release } = await hold();
  const seen = watch(name, silent);
  await until(async () => (await waiting(name)) === 1);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(seen).toEqual({ deaths: 0, pings: 0 });
  release();
  await until(() => seen.pings === 1);
  await vi.advanceTimersByTimeAsync(1999);
  expect(seen.deaths).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(seen.deaths).toBe(1);
});

test.each([
  ["answers", () => Promise.resolve()],
  ["answers late", () => pause(1000)],
  ["answers with an error", () => Promise.reject(new Error("no"))],
])("a worker whose lock is free lives if it %s", async (_, ping) => {
  const { name, release } = await hold();
  const seen = watch(name, ping);
  await until(async () => (await waiting(name)) === 1);
  release();
  await until(() => seen.pings === 1);
  await vi.advanceTimersByTimeAsync(3000);
  expect(seen.deaths).toBe(0);
});

test("a worker whose lock is not visible is dead only after minutes of silence, although the lock is free here", async () => {
  const { name } = await hold();
  // This happens in Chromium after the site's data was cleared: the worker's locks are separate
  // from the page's.
  const stranger = crypto.randomUUID();
  LockManager.prototype.query = async () => ({ held: [{ name, mode: "exclusive", clientId: "other" }], pending: [] });
  const seen = watch(stranger, silent);
  await granted();
  expect(seen.pings).toBe(0);
  await vi.advanceTimersByTimeAsync(189_000);
  expect(seen).toEqual({ deaths: 0, pings: 1 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(seen.deaths).toBe(1);
});

test("ending the watch releases the lock request and stops the pings", async () => {
  const { name, release } = await hold();
  const seen = watch(name, silent);
  await until(async () => (await waiting(name)) === 1);
  ends.splice(0)[0]?.();
  await until(async () => (await waiting(name)) === 0);
  release();
  await granted();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(seen).toEqual({ deaths: 0, pings: 0 });
});
