import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pause } from "../src/pause.ts";
import { watchedSignal } from "./thread/watched-signal.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("it lasts as long as requested, and leaves no listener", async () => {
  const { signal, listeners } = watchedSignal();
  let isOver = false;
  const paused = pause(1000, signal).then(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(999);
  expect([isOver, listeners()]).toEqual([false, 1]);
  await vi.advanceTimersByTimeAsync(1);
  await paused;
  expect(listeners()).toBe(0);
});

test("an abort ends it with the reason, and leaves no timer", async () => {
  const { controller, signal } = watchedSignal();
  const reason = { why: "enough" };
  const paused = expect(pause(1000, signal)).rejects.toBe(reason);
  controller.abort(reason);
  await paused;
  await expect(pause(1000, signal)).rejects.toBe(reason);
  expect(vi.getTimerCount()).toBe(0);
});
