import { expect, test } from "vitest";
import { allEnded } from "../src/all-ended.ts";
import { resolvers } from "./setup/resolvers.ts";

test("results are in the order of the work", async () => {
  const later = new Promise<number>((resolve) => queueMicrotask(() => queueMicrotask(() => resolve(1))));
  expect(await allEnded([later, Promise.resolve(2), Promise.resolve(undefined)])).toEqual([1, 2, undefined]);
  expect(await allEnded([])).toEqual([]);
});

test("it rejects with the first reason in time, and only after all work has ended", async () => {
  const slow = resolvers<never>();
  const quick = resolvers<never>();
  const last = resolvers<void>();
  let isOver = false;
  const all = allEnded([slow.promise, quick.promise, last.promise]).finally(() => {
    isOver = true;
  });
  const refused = expect(all).rejects.toBe("quick");
  quick.reject("quick");
  await quick.promise.catch(() => {});
  slow.reject("slow");
  await new Promise((resolve) => setImmediate(resolve));
  expect(isOver).toBe(false);
  last.resolve();
  await refused;
});

test("work that rejects with undefined is a failure too", async () => {
  await expect(allEnded([Promise.reject(undefined), Promise.resolve(1)])).rejects.toBeUndefined();
});
