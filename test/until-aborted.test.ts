import { expect, test } from "vitest";
import { untilAborted } from "../src/until-aborted.ts";
import { watchedSignal } from "./thread/watched-signal.ts";

const never = new Promise<never>(() => {});

test("settles like the work, and leaves no listener at the signal", async () => {
  const { signal, listeners } = watchedSignal();
  expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(untilAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
  const waiting = untilAborted(new Promise((resolve) => setTimeout(resolve, 10)), signal);
  expect(listeners()).toBe(1);
  await waiting;
  await expect.poll(listeners).toBe(0);
  expect(await untilAborted(Promise.resolve(1), undefined)).toBe(1);
});

test("rejects with the reason itself, at once if the signal was aborted before", async () => {
  const reason = { why: "enough" };
  const { controller, signal } = watchedSignal();
  const waiting = untilAborted(never, signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(untilAborted(never, signal)).rejects.toBe(reason);
});
