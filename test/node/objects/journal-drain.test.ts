import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MemoryObjectStore } from "../../../src/backends/memory-objects.ts";
import { StoreError } from "../../../src/error.ts";
import { LmdbEnvironment } from "../../../src/node/lmdb.ts";
import { JournalDrain } from "../../../src/node/objects/journal-drain.ts";
import { ObjectJournal } from "../../../src/node/objects/object-journal.ts";

let root: string;
let environment: LmdbEnvironment;
let target: MemoryObjectStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-journal-drain-"));
  environment = await LmdbEnvironment.open(join(root, "store.lmdb"));
  target = new MemoryObjectStore();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(async () => {
  vi.useRealTimers();
  await environment.close();
  await rm(root, { recursive: true, force: true });
});

/** Objects of one byte each. */
function some(prefix: string, count: number): Map<string, Uint8Array> {
  return new Map(Array.from({ length: count }, (_, i) => [`${prefix}/${i}`, Uint8Array.of(i)]));
}

/** Makes a journal of as many objects of one byte. Objects `b/` may refer to objects `a/`. */
async function journalOf(a: number, b = 0): Promise<ObjectJournal> {
  const journal = new ObjectJournal(environment, ["a/", "b/"]);
  await journal.add([some("a", a), some("b", b)]);
  return journal;
}

const LIMITS = { bytes: 1_000_000, count: 1_000_000 };

test("no object is written before one that precedes it in the order", async () => {
  const journal = await journalOf(3, 2);
  const putMany = vi.spyOn(target, "putMany");
  await new JournalDrain(journal, target).close();
  const keys = putMany.mock.calls.map(([groups]) => groups.flatMap((group) => [...group.keys()]));
  expect(keys).toEqual([
    ["a/0", "a/1", "a/2"],
    ["b/0", "b/1"],
  ]);
  expect(target.objects.get("a/2")).toEqual(Uint8Array.of(2));
  expect(journal.count).toBe(0);
});

describe("a caller waits only while the journal is full", () => {
  test.each([
    ["5 objects of at most 5", { ...LIMITS, count: 5 }, 5],
    ["5 objects of at most 4", { ...LIMITS, count: 4 }, 0],
    ["5 bytes of at most 5", { ...LIMITS, bytes: 5 }, 5],
    ["5 bytes of at most 4", { ...LIMITS, bytes: 4 }, 0],
  ])("%s", async (_, limits, left) => {
    const journal = await journalOf(5);
    const drain = new JournalDrain(journal, target, limits);
    await drain.makeRoom();
    expect(journal.count).toBe(left);
    await drain.close();
  });

  test("until it is no longer full, not until it is empty", async () => {
    const journal = await journalOf(3, 4);
    const drain = new JournalDrain(journal, target, { ...LIMITS, count: 5 });
    await drain.makeRoom();
    expect(journal.count).toBe(4);
    await drain.close();
  });

  test("callers share one step", async () => {
    const journal = await journalOf(3);
    const putMany = vi.spyOn(target, "putMany");
    const drain = new JournalDrain(journal, target, { ...LIMITS, count: 2 });
    await Promise.all([drain.makeRoom(), drain.makeRoom(), drain.makeRoom()]);
    expect(putMany).toHaveBeenCalledOnce();
    await drain.close();
  });
});

describe("without callers", () => {
  test("objects that an earlier process left are written after a second without new ones", async () => {
    const journal = await journalOf(1);
    const drain = new JournalDrain(journal, target);
    await vi.advanceTimersByTimeAsync(999);
    drain.schedule();
    await vi.advanceTimersByTimeAsync(999);
    expect(target.objects.size).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    await vi.waitFor(() => expect(journal.count).toBe(0));
    expect([...target.objects.keys()]).toEqual(["a/0"]);
    await drain.close();
  });

  test("an empty journal starts no timer", async () => {
    const journal = await journalOf(0);
    // LMDB has timers too.
    const others = vi.getTimerCount();
    const drain = new JournalDrain(journal, target);
    expect(vi.getTimerCount()).toBe(others);
    await drain.close();
  });

  test.each([
    ["half full or less", 8, 0],
    ["more than half full", 7, 4],
  ])("a journal that is %s is written at once: %d objects at most", async (_, count, written) => {
    const journal = await journalOf(4);
    const drain = new JournalDrain(journal, target, { ...LIMITS, count });
    await vi.advanceTimersByTimeAsync(1);
    await drain.makeRoom();
    if (written > 0) await vi.waitFor(() => expect(target.objects.size).toBe(written));
    expect(target.objects.size).toBe(written);
    await drain.close();
  });

  test("a failed step is tried again after ten seconds", async () => {
    const journal = await journalOf(2);
    const putMany = vi.spyOn(target, "putMany").mockRejectedValueOnce(new StoreError("quota", "the disk is full"));
    const drain = new JournalDrain(journal, target);
    await vi.advanceTimersByTimeAsync(1000);
    expect(putMany).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(9999);
    expect(putMany).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1);
    await vi.waitFor(() => expect(journal.count).toBe(0));
    expect(putMany).toHaveBeenCalledTimes(2);
    await drain.close();
  });
});

describe("while objects can't be written", () => {
  const FULL = new StoreError("quota", "the disk is full");

  test("they stay in the journal, and callers get the error", async () => {
    const journal = await journalOf(2, 1);
    const full = vi.spyOn(target, "putMany").mockRejectedValue(FULL);
    const drain = new JournalDrain(journal, target, { ...LIMITS, count: 2 });
    await expect(drain.makeRoom()).rejects.toBe(FULL);
    await expect(drain.empty()).rejects.toBe(FULL);
    await expect(drain.close()).rejects.toBe(FULL);
    expect(journal.count).toBe(3);
    expect(journal.has("b/0")).toBe(true);
    full.mockRestore();
    await drain.close();
    expect(journal.count).toBe(0);
  });

  test("no step starts after `close`, even if it waited for a step that fails", async () => {
    let fail = (): void => {};
    const putMany = vi.spyOn(target, "putMany").mockImplementation(
      () =>
        new Promise((_, reject) => {
          fail = () => reject(FULL);
        }),
    );
    const drain = new JournalDrain(await journalOf(1), target);
    await vi.advanceTimersByTimeAsync(1000);
    const closing = drain.close();
    fail();
    await expect(closing).rejects.toBe(FULL);
    drain.schedule();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(putMany).toHaveBeenCalledOnce();
  });
});
