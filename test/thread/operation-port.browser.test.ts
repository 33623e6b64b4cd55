import { expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import type { Progress } from "../../src/progress.ts";
import { operationOptions, operationPort } from "../../src/thread/operation-port.ts";
import { watchedSignal } from "./watched-signal.ts";

test("an abort reaches the other side with its reason, even if it comes before the call", async () => {
  const { controller, signal, listeners } = watchedSignal();
  const call = operationPort({ signal });
  const options = operationOptions(call.port);
  expect(options.signal.aborted).toBe(false);
  controller.abort(new StoreError("denied", "the user left"));
  await expect.poll(() => options.signal.reason).toMatchObject({ code: "denied" });
  call.finish();
  expect(listeners()).toBe(0);
  const late = operationOptions(operationPort({ signal }).port);
  await expect.poll(() => late.signal.aborted).toBe(true);
});

test("the first and last of many reports of each phase arrive, in order", async () => {
  const told: Progress[] = [];
  const call = operationPort({ onProgress: (progress) => told.push(progress) });
  const { onProgress, finish } = operationOptions(call.port);
  for (const phase of ["reading", "hashing"]) {
    for (let loaded = 0; loaded <= 1000; loaded++) onProgress({ phase, unit: "bytes", loaded, total: 1000 });
  }
  finish();
  await call.reported;
  expect(told.at(-1)).toEqual({ phase: "hashing", unit: "bytes", loaded: 1000, total: 1000 });
  const of = (phase: string): number[] => told.filter((report) => report.phase === phase).map(({ loaded }) => loaded);
  for (const phase of ["reading", "hashing"]) {
    expect(of(phase)[0]).toBe(0);
    expect(of(phase).at(-1)).toBe(1000);
    expect(of(phase)).toEqual([...of(phase)].sort((a, b) => a - b));
  }
  expect(told.length).toBeLessThan(200);
  call.finish();
});
