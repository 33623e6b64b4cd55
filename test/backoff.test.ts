import { afterEach, describe, expect, test, vi } from "vitest";
import { Backoff } from "../src/backoff.ts";
import { pause } from "../src/pause.ts";

/** Lets `backoff` fail until it gives up, and returns its delays in milliseconds. */
function delays(backoff: Backoff, hint?: Parameters<Backoff["fail"]>[0]): number[] {
  const found: number[] = [];
  for (let delay = backoff.fail(hint); delay !== undefined; delay = backoff.fail(hint)) found.push(delay);
  return found;
}

describe("delays", () => {
  test("double each time, and the upper half of each is random", () => {
    const found = Array.from({ length: 50 }, () => delays(new Backoff()));
    for (const one of found) {
      expect(one).toHaveLength(4);
      for (const [i, delay] of one.entries()) {
        expect(delay).toBeGreaterThanOrEqual(125 * 2 ** i);
        expect(delay).toBeLessThanOrEqual(250 * 2 ** i);
      }
    }
    expect(new Set(found.map(([first]) => first)).size).toBeGreaterThan(40);
  });

  test("are longer for an overloaded server", () => {
    const found = delays(new Backoff(), { isBusy: true });
    expect(found[0]).toBeGreaterThanOrEqual(500);
    expect(found[3]).toBeLessThanOrEqual(8000);
  });

  test("are slightly longer than the server asks for, but at most a minute", () => {
    for (const delay of delays(new Backoff(), { atLeast: 7000 })) {
      expect(delay).toBeGreaterThan(7000);
      expect(delay).toBeLessThanOrEqual(9000);
    }
    expect(delays(new Backoff(), { atLeast: Number.POSITIVE_INFINITY })).toEqual([60_000, 60_000, 60_000, 60_000]);
    for (const delay of delays(new Backoff({ attempts: 50 }))) expect(delay).toBeLessThanOrEqual(60_000);
  });

  test("start over after progress", () => {
    const backoff = new Backoff();
    expect(delays(backoff)).toHaveLength(4);
    expect(backoff.failures).toBe(5);
    backoff.reset();
    expect(delays(backoff)).toHaveLength(4);
  });
});

describe("pause", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("resolves after its delay", async () => {
    vi.useFakeTimers();
    let isOver = false;
    const paused = pause(50).then(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(49);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isOver).toBe(true);
    await paused;
  });

  test("ends at an abort with the reason", async () => {
    const reason = new Error("enough");
    await expect(pause(100_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const paused = pause(100_000, controller.signal);
    controller.abort(reason);
    await expect(paused).rejects.toBe(reason);
  });
});
