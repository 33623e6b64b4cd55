import { expect, test } from "vitest";
import { TaskPool } from "../src/task-pool.ts";
import { resolvers } from "./setup/resolvers.ts";

/** Lets all promises that can settle do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("no more tasks than the limit run at the same time, whoever starts them", async () => {
  const pool = new TaskPool(2);
  const open: (() => void)[] = [];
  const started: number[] = [];
  const task = (i: number) => () => {
    started.push(i);
    return new Promise<void>((resolve) => open.push(resolve));
  };
  const runs = [0, 1, 2, 3].map((i) => pool.run(task(i)));
  await settled();
  expect(started).toEqual([0, 1]);
  open[0]?.();
  await settled();
  expect(started).toEqual([0, 1, 2]);
  // Both waiting callers see that two tasks end at once.
  open[1]?.();
  open[2]?.();
  await settled();
  expect(started).toEqual([0, 1, 2, 3]);
  open[3]?.();
  await Promise.all(runs);
  await pool.finish();
});

test("after a failure no task starts, and the first failure is told after all tasks ended", async () => {
  const pool = new TaskPool(2);
  const slow = resolvers<void>();
  await pool.run(() => slow.promise);
  await pool.run(() => Promise.reject(new Error("first")));
  await settled();
  let isStarted = false;
  const late = pool.run(async () => {
    isStarted = true;
  });
  await expect(late).rejects.toThrow("first");
  let isFinished = false;
  const finish = pool.finish().finally(() => {
    isFinished = true;
  });
  const refused = expect(finish).rejects.toThrow("first");
  await settled();
  expect([isStarted, isFinished]).toEqual([false, false]);
  slow.reject(new Error("second"));
  await refused;
});

test("a caller that waits for a place learns of a failure", async () => {
  const pool = new TaskPool(1);
  const failing = resolvers<void>();
  await pool.run(() => failing.promise);
  const waiting = pool.run(async () => {});
  failing.reject(undefined);
  await expect(waiting).rejects.toBeUndefined();
});
