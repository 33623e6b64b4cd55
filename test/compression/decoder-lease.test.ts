import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DecoderLease } from "../../src/compression/decoder-lease.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("an upload is slow if its client sends less than 64 KiB a second", async () => {
  const lease = new DecoderLease(1, true);
  await lease.piece(Promise.resolve({ value: new Uint8Array(700_000), done: false }));
  // The time that the decoder takes doesn't count.
  vi.advanceTimersByTime(100_000);
  expect(lease.isSlow(performance.now())).toBe(false);
  const next = lease.piece(new Promise(() => {}));
  const began = performance.now();
  expect(lease.isSlow(began + 10_500)).toBe(false);
  expect(lease.isSlow(began + 11_500)).toBe(true);
  lease.revoke();
  await expect(next).rejects.toMatchObject({ code: "unavailable" });
  expect(lease.isSlow(began + 11_500)).toBe(false);
});

test("an upload is slow only after ten seconds of waiting", async () => {
  const lease = new DecoderLease(1, true);
  lease.piece(new Promise(() => {})).catch(() => {});
  const began = performance.now();
  expect(lease.isSlow(began + 10_000)).toBe(false);
  expect(lease.isSlow(began + 10_001)).toBe(true);
});

test("the time of several pieces adds up, and only their bytes count", async () => {
  const lease = new DecoderLease(1, true);
  for (let i = 0; i < 20; i++) {
    let arrive = (_: IteratorResult<Uint8Array>): void => {};
    const piece = lease.piece(new Promise((resolve) => (arrive = resolve)));
    vi.advanceTimersByTime(500);
    arrive({ value: new Uint8Array(i === 0 ? 32_064 : 32_000), done: false });
    await piece;
  }
  // 640,064 bytes in 10,001 milliseconds are 64 bytes in each.
  lease.piece(new Promise(() => {})).catch(() => {});
  expect([0, 1, 2].map((ms) => lease.isSlow(performance.now() + ms))).toEqual([false, false, true]);
});

test("the end and an error of an upload are passed on, and end the waiting", async () => {
  const lease = new DecoderLease(1, true);
  const end = { value: undefined, done: true } as const;
  expect(await lease.piece(Promise.resolve(end))).toBe(end);
  const broken = new Error("broken");
  await expect(lease.piece(Promise.reject(broken))).rejects.toBe(broken);
  vi.advanceTimersByTime(100_000);
  expect(lease.isSlow(performance.now())).toBe(false);
  // Nobody waits, so there is nothing to refuse.
  lease.revoke();
  expect(await lease.piece(Promise.resolve(end))).toBe(end);
});

test("a page's own download is never slow, and can't be revoked", async () => {
  const lease = new DecoderLease(1, false);
  let arrive = (_: IteratorResult<Uint8Array>): void => {};
  const piece = lease.piece(new Promise((resolve) => (arrive = resolve)));
  expect(lease.isSlow(performance.now() + 1_000_000)).toBe(false);
  lease.revoke();
  const result = { value: new Uint8Array(1), done: false } as const;
  arrive(result);
  expect(await piece).toBe(result);
});
