import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MemoryObjectStore } from "../../../src/backends/memory-objects.ts";
import { utf8 } from "../../../src/bytes.ts";
import type { ObjectGroup } from "../../../src/castore/object-store.ts";
import { StoreError } from "../../../src/error.ts";
import { LmdbEnvironment } from "../../../src/node/lmdb.ts";
import { ObjectJournal } from "../../../src/node/objects/object-journal.ts";
import { StagedObjectStore } from "../../../src/node/objects/staged-object-store.ts";

const FULL = new StoreError("quota", "the disk is full");
const MIB = 1024 * 1024;

let target: MemoryObjectStore;
beforeEach(() => {
  target = new MemoryObjectStore();
});
afterEach(() => {
  vi.useRealTimers();
});

const objects = (...keys: string[]) => new Map(keys.map((key) => [key, utf8(key)]));
const isWritten = (...keys: string[]) => keys.map((key) => target.objects.has(key));

async function read(store: StagedObjectStore, ...keys: string[]): Promise<(string | undefined)[]> {
  const found = await Promise.all(keys.map((key) => store.get(key, { limit: 100 * MIB })));
  return found.map((bytes) => bytes && new TextDecoder().decode(bytes));
}

async function listed(store: StagedObjectStore, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { key, size } of store.list(prefix)) found.push(`${key} ${size}`);
  return found;
}

/** Makes writes of the target wait. Returns the keys of each write, and a function to end it. */
function slowWrites() {
  const writes: { readonly keys: string[][]; end(error?: Error): void }[] = [];
  const putMany = target.putMany.bind(target);
  vi.spyOn(target, "putMany").mockImplementation(async (groups) => {
    await new Promise<void>((resolve, reject) => {
      const keys = groups.map((group) => [...group.keys()]);
      writes.push({ keys, end: (error) => (error ? reject(error) : resolve()) });
    });
    await putMany(groups);
  });
  return writes;
}

describe("without a journal", () => {
  test("objects can be read before they are written, and are written by `flush` and by `close`", async () => {
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a"), objects("b")]);
    expect(await read(store, "a", "b", "c")).toEqual(["a", "b", undefined]);
    expect(await store.has("b")).toBe(true);
    expect(await listed(store)).toEqual(["a 1", "b 1"]);
    expect(isWritten("a", "b")).toEqual([false, false]);
    await store.flush();
    expect(isWritten("a", "b")).toEqual([true, true]);
    await store.putMany([objects("c")]);
    await store.order();
    expect(isWritten("c")).toEqual([true]);
    await store.putMany([objects("d")]);
    await store.close();
    await store.close();
    expect(isWritten("d")).toEqual([true]);
  });

  test("the caller owns the bytes that it reads", async () => {
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a")]);
    (await store.get("a", { limit: 1 }))?.fill(0);
    expect(await read(store, "a")).toEqual(["a"]);
  });

  test("a second without another reason writes staged objects", async () => {
    vi.useFakeTimers();
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a")]);
    await vi.advanceTimersByTimeAsync(500);
    await store.putMany([objects("b")]);
    await vi.advanceTimersByTimeAsync(499);
    expect(isWritten("a", "b")).toEqual([false, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(isWritten("a", "b")).toEqual([true, true]);
    await store.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a put of nothing starts no timer", async () => {
    vi.useFakeTimers();
    const store = new StagedObjectStore("test", target);
    await store.putMany([new Map(), new Map()]);
    expect(vi.getTimerCount()).toBe(0);
    await store.close();
  });

  test("calls are written together, and each group after the earlier ones", async () => {
    const store = new StagedObjectStore("test", target);
    const putMany = vi.spyOn(target, "putMany");
    await Promise.all([store.putMany([objects("a1"), objects("b1")]), store.putMany([objects("a2"), objects("b2", "a1")])]);
    await store.flush();
    const groups = putMany.mock.calls.map(([all]) => all.map((group) => [...group.keys()]));
    expect(groups).toEqual([
      [
        ["a1", "a2"],
        ["b1", "b2"],
      ],
    ]);
  });

  test("a full batch is written while the next one fills, and `putMany` waits for the batch before", async () => {
    const writes = slowWrites();
    const store = new StagedObjectStore("test", target);
    const large = (key: string): ObjectGroup => new Map([[key, new Uint8Array(16 * MIB)]]);
    await store.putMany([large("a")]);
    expect(writes.map(({ keys }) => keys)).toEqual([[["a"]]]);
    await store.putMany([objects("b")]);
    let isPut = false;
    const putting = store.putMany([large("c")]).then(() => {
      isPut = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([isPut, writes.length]).toEqual([false, 1]);
    expect((await read(store, "a", "b", "c")).map((text) => text?.length)).toEqual([16 * MIB, 1, 16 * MIB]);
    expect(await listed(store)).toEqual([`a ${16 * MIB}`, "b 1", `c ${16 * MIB}`]);
    writes[0]?.end();
    await putting;
    expect(writes.map(({ keys }) => keys)).toEqual([[["a"]], [["b", "c"]]]);
    const closing = store.close();
    writes[1]?.end();
    await closing;
    expect(isWritten("a", "b", "c")).toEqual([true, true, true]);
  });

  test("a list has each object once, in order, wherever the objects are", async () => {
    for (const key of ["b", "d", "f"]) target.objects.set(key, utf8("written"));
    const writes = slowWrites();
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a", "e")]);
    const flushing = store.flush();
    await store.putMany([objects("c", "g")]);
    expect(await listed(store)).toEqual(["a 1", "b 7", "c 1", "d 7", "e 1", "f 7", "g 1"]);
    expect(await listed(store, "c")).toEqual(["c 1"]);
    // An object may reach the target while the list runs.
    target.objects.set("a", utf8("a"));
    expect((await listed(store)).slice(0, 2)).toEqual(["a 1", "b 7"]);
    writes[0]?.end();
    await vi.waitFor(() => expect(isWritten("e")).toEqual([true]));
    await flushing;
    const closing = store.close();
    writes[1]?.end();
    await closing;
  });

  test("a failed write keeps its objects, and the next one writes them with those that came later", async () => {
    const writes = slowWrites();
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a")]);
    const failing = store.flush();
    await store.putMany([objects("b")]);
    writes[0]?.end(FULL);
    await expect(failing).rejects.toBe(FULL);
    expect(await read(store, "a", "b")).toEqual(["a", "b"]);
    const flushing = store.flush();
    await vi.waitFor(() => expect(writes).toHaveLength(2));
    writes[1]?.end();
    await flushing;
    expect(writes[1]?.keys).toEqual([["a", "b"]]);
  });

  test("no more objects are accepted while nothing can be written", async () => {
    const full = vi.spyOn(target, "putMany").mockRejectedValue(FULL);
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a")]);
    await expect(store.flush()).rejects.toBe(FULL);
    await expect(store.order()).rejects.toBe(FULL);
    await expect(store.putMany([objects("b")])).rejects.toBe(FULL);
    expect(await read(store, "a", "b")).toEqual(["a", undefined]);
    full.mockRestore();
    await store.putMany([objects("b")]);
    expect(isWritten("a", "b")).toEqual([true, false]);
    await store.close();
    expect(isWritten("b")).toEqual([true]);
  });

  test("`close` writes everything, even if a write fails meanwhile", async () => {
    const writes = slowWrites();
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a")]);
    const failing = store.flush();
    const closing = store.close();
    writes[0]?.end(FULL);
    await expect(failing).rejects.toBe(FULL);
    await vi.waitFor(() => expect(writes).toHaveLength(2));
    writes[1]?.end();
    await closing;
    expect(isWritten("a")).toEqual([true]);
  });

  test("a closed store refuses objects, also those of a call that was waiting", async () => {
    const writes = slowWrites();
    const store = new StagedObjectStore("test", target);
    await store.putMany([objects("a")]);
    const failing = store.flush();
    writes[0]?.end(FULL);
    await expect(failing).rejects.toBe(FULL);
    // This call writes the earlier objects first, because the last write failed.
    const waiting = store.putMany([objects("b")]);
    await vi.waitFor(() => expect(writes).toHaveLength(2));
    const closing = store.close();
    writes[1]?.end();
    const closed = { name: "StoreError", code: "closed" };
    await expect(waiting).rejects.toMatchObject(closed);
    await closing;
    await expect(store.putMany([objects("c")])).rejects.toMatchObject(closed);
    await expect(store.put("c", utf8("c"))).rejects.toMatchObject(closed);
    expect([...target.objects.keys()]).toEqual(["a"]);
  });
});

describe("with a journal", () => {
  let root: string;
  let environment: LmdbEnvironment;
  let journal: ObjectJournal;
  let store: StagedObjectStore;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "tvix-staged-"));
    environment = await LmdbEnvironment.open(join(root, "store.lmdb"));
    open();
  });
  afterEach(async () => {
    await store.close();
    await environment.close();
    await rm(root, { recursive: true, force: true });
  });

  function open(): void {
    journal = new ObjectJournal(environment, ["a", "b", "c"]);
    store = new StagedObjectStore("test", target, journal);
  }

  test("small objects are in the journal after a flush, and the next process finds them there", async () => {
    await store.putMany([objects("a"), objects("b")]);
    expect(journal.count).toBe(0);
    await store.flush();
    expect([journal.count, ...isWritten("a", "b")]).toEqual([2, false, false]);
    expect(await read(store, "a", "b")).toEqual(["a", "b"]);

    open();
    expect(journal).toMatchObject({ count: 2, bytes: 2 });
    expect(await read(store, "a", "b", "c")).toEqual(["a", "b", undefined]);
    expect([await store.has("a"), await store.has("c")]).toEqual([true, false]);
    expect(await listed(store)).toEqual(["a 1", "b 1"]);
    await store.close();
    expect([journal.count, journal.bytes, ...isWritten("a", "b")]).toEqual([0, 0, true, true]);
  });

  test("no object is put into the journal twice", async () => {
    for (let i = 0; i < 3; i++) {
      await store.putMany([objects("a")]);
      await store.flush();
    }
    expect(journal.count).toBe(1);
  });

  test("objects that are put concurrently are counted once", async () => {
    const many = new Map(Array.from({ length: 300 }, (_, i) => [`a${i}`, utf8(`${i}`)]));
    const putAll = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await store.putMany([many]);
        await store.flush();
      }
    };
    await Promise.all(Array.from({ length: 6 }, putAll));
    expect(journal.count).toBe(300);
    expect(new ObjectJournal(environment, ["a", "b", "c"])).toMatchObject({ count: 300, bytes: journal.bytes });
  });

  test.each([
    ["1 MiB in one object goes to the journal", [MIB], true],
    ["more than 1 MiB in one object goes to the target", [MIB + 1], false],
    ["many objects of 16 KiB go to the journal", Array(65).fill(16 * 1024), true],
    ["many objects of more than 16 KiB on average go to the target", [...Array(64).fill(16 * 1024), 16 * 1024 + 1], false],
  ])("%s", async (_, sizes, isSmall) => {
    await store.putMany([new Map(sizes.map((size, i) => [`a${i}`, new Uint8Array(size)]))]);
    await store.flush();
    expect(journal.count).toBe(isSmall ? sizes.length : 0);
    expect(target.objects.size).toBe(isSmall ? 0 : sizes.length);
  });

  test("a record that is written after `order` never precedes the objects that were put before", async () => {
    const records = environment.records("test");
    await store.putMany([objects("a")]);
    await store.order();
    await records.put(new Map([["name", "its digest"]]));
    // One transaction writes both.
    expect(journal.count).toBe(1);
  });

  test("objects are written when no new object has come for a second", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    await store.putMany([objects("a")]);
    await store.flush();
    await vi.advanceTimersByTimeAsync(900);
    await store.putMany([objects("b")]);
    await store.flush();
    await vi.advanceTimersByTimeAsync(900);
    expect(journal.count).toBe(2);
    await vi.advanceTimersByTimeAsync(100);
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(0);
      expect(journal.count).toBe(0);
    });
    expect(isWritten("a", "b")).toEqual([true, true]);
    expect(await read(store, "a", "b")).toEqual(["a", "b"]);
  });

  test("`put` replaces an object of the journal for good, and a conditional one leaves it", async () => {
    await store.putMany([objects("a")]);
    await store.flush();
    expect(await store.put("a", utf8("conditional"), { ifAbsent: true })).toBe(false);
    expect(await read(store, "a")).toEqual(["a"]);
    expect(await store.put("a", utf8("new"))).toBe(true);
    expect(journal.count).toBe(0);
    await store.close();
    expect(target.objects.get("a")).toEqual(utf8("new"));
  });
});
