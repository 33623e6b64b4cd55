import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pace } from "../src/pace.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const pieces = (...lengths: number[]): AsyncIterable<Uint8Array> =>
  (async function* () {
    for (const length of lengths) yield new Uint8Array(length);
  })();

const never: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: () => new Promise(() => {}) }),
};

/** Begins to wait for a client that sends nothing. */
function starve(pace: Pace): Promise<unknown> {
  const waiting = pace.received(never).next();
  waiting.catch(() => {});
  return waiting;
}

async function receive(pace: Pace, source: AsyncIterable<Uint8Array>): Promise<number[]> {
  const lengths: number[] = [];
  for await (const { length } of pace.received(source)) lengths.push(length);
  return lengths;
}

test("a client has stalled if it sends nothing for ten seconds, however much it has sent before", async () => {
  const pace = new Pace();
  await receive(pace, pieces(40_000_000, 300_000));
  // The time that the server takes doesn't count.
  vi.advanceTimersByTime(100_000);
  expect(pace.isSlow(performance.now())).toBe(false);
  const next = starve(pace);
  const began = performance.now();
  expect(pace.isSlow(began + 10_000)).toBe(false);
  expect(pace.isSlow(began + 10_001)).toBe(true);
  pace.revoke();
  await expect(next).rejects.toMatchObject({ code: "unavailable" });
  expect(pace.isSlow(began + 11_500)).toBe(false);
});

test("a client is slow only after ten seconds of waiting", () => {
  const pace = new Pace();
  void starve(pace);
  const began = performance.now();
  expect(pace.isSlow(began + 10_000)).toBe(false);
  expect(pace.isSlow(began + 10_001)).toBe(true);
});

test("the times of several waits add up, and only their bytes count", () => {
  const pace = new Pace();
  for (let i = 0; i < 20; i++) {
    pace.begin(() => {});
    vi.advanceTimersByTime(500);
    pace.end(i === 0 ? 32_064 : 32_000);
  }
  // 640,064 bytes in 10,001 milliseconds are 64 bytes in each.
  pace.begin(() => {});
  expect([0, 1, 2].map((ms) => pace.isSlow(performance.now() + ms))).toEqual([false, false, true]);
});

test("what a client sends, its end and its errors are passed on, and end the waiting", async () => {
  const pace = new Pace();
  expect(await receive(pace, pieces(3, 0, 5))).toEqual([3, 0, 5]);
  const broken = new Error("broken");
  const breaks = (async function* () {
    yield new Uint8Array(1);
    throw broken;
  })();
  await expect(receive(pace, breaks)).rejects.toBe(broken);
  vi.advanceTimersByTime(100_000);
  expect(pace.isSlow(performance.now())).toBe(false);
  // Nobody waits, so there is nothing to refuse.
  pace.revoke();
  expect(await receive(pace, pieces(1))).toEqual([1]);
});

test("who stops to read early ends the source", async () => {
  let ended = false;
  const source = (async function* () {
    try {
      yield new Uint8Array(1);
      yield new Uint8Array(2);
    } finally {
      ended = true;
    }
  })();
  for await (const _ of new Pace().received(source)) break;
  await Promise.resolve();
  expect(ended).toBe(true);
});
