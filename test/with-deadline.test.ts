import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withDeadline } from "../src/with-deadline.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const late = (): Error => new Error("late");

test("work that ends in time gives its result or its error", async () => {
  let seen: AbortSignal | undefined;
  const result = withDeadline(1000, late, async (signal) => {
    seen = signal;
    return 1;
  });
  expect(await result).toBe(1);
  await expect(withDeadline(1000, late, () => Promise.reject(new Error("own")))).rejects.toThrow("own");
  const thrown = withDeadline(1000, late, () => {
    throw new Error("at once");
  });
  await expect(thrown).rejects.toThrow("at once");
  await vi.advanceTimersByTimeAsync(1000);
  expect(seen?.aborted).toBe(false);
});

test("work that takes longer is aborted, and need not heed that", async () => {
  let seen: AbortSignal | undefined;
  const work = withDeadline(1000, late, (signal) => {
    seen = signal;
    return new Promise(() => {});
  });
  const refused = expect(work).rejects.toThrow("late");
  await vi.advanceTimersByTimeAsync(999);
  expect(seen?.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await refused;
  expect(seen?.reason).toEqual(new Error("late"));
});

test("work that is aborted rejects with the reason of the deadline, not with its own", async () => {
  const work = withDeadline(1000, late, (signal) => {
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("own"))));
  });
  const refused = expect(work).rejects.toThrow("late");
  await vi.advanceTimersByTimeAsync(1000);
  await refused;
});
