import { beforeEach, describe, expect, test, vi } from "vitest";
import { holdLifeLock, StoreLocks } from "../../src/worker/store-locks.ts";
import { MemoryLocks } from "./memory-locks.ts";
import { allSettled, failure } from "./memory-store.ts";

let manager: MemoryLocks;
beforeEach(() => {
  manager = new MemoryLocks();
  vi.stubGlobal("navigator", { locks: manager });
});
const locks = new StoreLocks("store");
const [WRITERS, GARBAGE] = ["tvix-store-web:store:writers", "tvix-store-web:store:garbage"];

/** Runs `enter` with work that goes on until `end` is called. */
function hold(enter: (work: () => Promise<void>) => Promise<unknown>): {
  began: boolean;
  end: () => void;
  ended: Promise<unknown>;
} {
  const held = { began: false, end: () => {}, ended: Promise.resolve() as Promise<unknown> };
  held.ended = enter(
    () =>
      new Promise((resolve) => {
        held.began = true;
        held.end = resolve;
      }),
  );
  return held;
}

test("several write at the same time, and return their results", async () => {
  const first = hold((work) => locks.writing(undefined, work));
  expect(await locks.writing(undefined, async () => manager.held)).toHaveLength(1);
  expect(manager.held).toEqual([{ name: WRITERS, mode: "shared" }]);
  first.end();
  await first.ended;
  expect(manager.held).toEqual([]);
  expect(await new StoreLocks("other").writing(undefined, async () => "result")).toBe("result");
});

test("a sweep runs only while nobody writes, and nobody can write meanwhile", async () => {
  const writer = hold((work) => locks.writing(undefined, work));
  const work = vi.fn(async () => {});
  await locks.ifNobodyWrites(work);
  expect(work).not.toHaveBeenCalled();
  writer.end();
  await writer.ended;
  const sweep = hold((work) => locks.ifNobodyWrites(work));
  expect(manager.held).toEqual([{ name: WRITERS, mode: "exclusive" }]);
  const next = hold((work) => locks.writing(undefined, work));
  await allSettled();
  expect(next.began).toBe(false);
  sweep.end();
  await vi.waitFor(() => expect(next.began).toBe(true));
});

test("a repair waits for all writers, and then they wait for it", async () => {
  const writers = [hold((work) => locks.writing(undefined, work)), hold((work) => locks.writing(undefined, work))];
  const repair = hold((work) => locks.withoutWriters(undefined, work));
  writers[0]?.end();
  await allSettled();
  expect(repair.began).toBe(false);
  writers[1]?.end();
  await vi.waitFor(() => expect(repair.began).toBe(true));
  const late = hold((work) => locks.writing(undefined, work));
  await allSettled();
  expect(late.began).toBe(false);
});

test("one collection runs after the other, beside writers and other stores", async () => {
  const [writer, first] = [hold((work) => locks.writing(undefined, work)), hold((work) => locks.collecting(undefined, work))];
  const second = hold((work) => locks.collecting(undefined, work));
  const other = hold((work) => new StoreLocks("other").collecting(undefined, work));
  await allSettled();
  expect([writer, first, second, other].map(({ began }) => began)).toEqual([true, true, false, true]);
  expect(manager.held).toContainEqual({ name: GARBAGE, mode: "exclusive" });
  first.end();
  await vi.waitFor(() => expect(second.began).toBe(true));
});

describe.each([
  ["writing", locks.writing.bind(locks)],
  ["withoutWriters", locks.withoutWriters.bind(locks)],
  ["collecting", locks.collecting.bind(locks)],
] as const)("%s", (_, enter) => {
  test("rejects with the reason of an abort while it waits", async () => {
    const holding = [hold((work) => locks.withoutWriters(undefined, work)), hold((work) => locks.collecting(undefined, work))];
    await allSettled();
    const controller = new AbortController();
    const waiting = enter(controller.signal, async () => {});
    const rejected = expect(waiting).rejects.toBe("enough");
    controller.abort("enough");
    await rejected;
    for (const { end } of holding) end();
    await Promise.all(holding.map(({ ended }) => ended));
    expect(manager.held).toEqual([]);
  });

  test("passes the error of its work on, and releases the lock", async () => {
    const problem = new Error("the work failed");
    const failing = enter(new AbortController().signal, () => Promise.reject(problem));
    await expect(failing).rejects.toBe(problem);
    expect(manager.held).toEqual([]);
  });
});

test("without Web Locks, writing is free, and nothing is swept, repaired or collected", async () => {
  vi.stubGlobal("navigator", {});
  const work = vi.fn(async () => "result");
  expect(await locks.writing(undefined, work)).toBe("result");
  work.mockClear();
  await locks.ifNobodyWrites(async () => void (await work()));
  expect(await failure(locks.withoutWriters(undefined, work))).toBe("unavailable");
  expect(await failure(locks.collecting(undefined, work))).toBe("unavailable");
  expect(work).not.toHaveBeenCalled();
  expect(await holdLifeLock()).toBe("");
});

describe("the lock of a worker's life", () => {
  test("is held when its name is told, each worker has its own, and it is never released", async () => {
    const names = [await holdLifeLock(), await holdLifeLock()];
    await allSettled();
    expect(manager.held).toEqual(names.map((name) => ({ name, mode: "exclusive" })));
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name).toMatch(/^tvix-store-web:worker:/);
  });

  test("that is refused is an error", async () => {
    const problem = new Error("refused");
    manager.request = () => Promise.reject(problem);
    await expect(holdLifeLock()).rejects.toBe(problem);
  });
});
