import { afterEach, describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { type Digest, digestOf } from "../../src/castore/digest.ts";
import { StoreError } from "../../src/error.ts";
import { writePacked } from "../../src/worker/packed-services.ts";
import { WriteSession } from "../../src/worker/write-session.ts";
import { pseudoRandom } from "../conformance/content.ts";
import {
  BLOB,
  CHUNK,
  closeAll,
  DIRECTORY,
  engine,
  equalBytes,
  expectClean,
  expectWhole,
  failure,
  gate,
  hasObject,
  importTree,
  objects,
  open,
  packIds,
  putTree,
  reader,
  recordKeys,
  STORAGES,
  unfinishedImport,
} from "./packed-world.browser.ts";
import { long } from "./trees.ts";

afterEach(closeAll);

const TREE = { a: "text", large: long(1), sub: { b: "more", empty: {} } };

describe.each(STORAGES)("sessions: packs in %s", (storage) => {
  test("nothing is visible before the commit, and everything is visible after it, in every tab", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(storage, name), await open(storage, name)];
    const importing = await unfinishedImport(mine, TREE);
    const hashPart = importing.value.storePath.slice(11, 43);
    const { node } = importing.value;
    if (node.kind !== "directory") throw new Error("a directory was imported");
    for (const store of [mine, other, await open(storage, name)]) {
      expect(await reader(store).pathInfos.get(hashPart)).toBeUndefined();
      expect(await reader(store).directories.get(node.digest)).toBeUndefined();
      expect(await store.has(CHUNK, [hashOf("text")])).toEqual([false]);
      expect(await recordKeys(store)).toEqual([]);
    }
    await importing.end();
    for (const store of [mine, other, await open(storage, name)]) await expectWhole(store, importing.value);
    await expectClean(mine, other);
  });

  test("objects that were put after the last PathInfo are dropped at the end", async () => {
    const store = await open(storage);
    await writePacked(store, engine, { durability: "strict" }, async (services) => {
      await putTree(services, { kept: "kept" });
      await services.blobs.putMany([pseudoRandom(100, 1)]);
    });
    await store.sweep();
    expect((await packIds(store)).length).toBe(1);
    expect(hasObject(store, CHUNK, hashOf("kept"))).toBe(true);
    expect(hasObject(store, CHUNK, digestOf(pseudoRandom(100, 1)))).toBe(false);
  });

  test("a failed session leaves no pack, however much it wrote", async () => {
    const store = await open(storage);
    const writing = writePacked(store, engine, { durability: "relaxed" }, async (services) => {
      await services.blobs.putMany([pseudoRandom(100, 1)]);
      const blob = await services.blobs.create();
      await blob.write(pseudoRandom(9_000_000, 2));
      throw new StoreError("invalid", "enough");
    });
    expect(await failure(writing)).toBe("invalid");
    await store.sweep();
    expect(await packIds(store)).toEqual([]);
    expect(await recordKeys(store)).toEqual([]);
  });

  test("an aborted import leaves no pack, and the next import is complete", async () => {
    const store = await open(storage);
    const controller = new AbortController();
    const reason = { why: "enough" };
    const importing = writePacked(store, engine, { durability: "relaxed", signal: controller.signal }, async (services) => {
      await services.blobs.putMany([pseudoRandom(100, 1)]);
      controller.abort(reason);
      controller.signal.throwIfAborted();
    });
    await expect(importing).rejects.toBe(reason);
    const waiting = writePacked(store, engine, { durability: "relaxed", signal: AbortSignal.abort(reason) }, async () => {});
    await expect(waiting).rejects.toBe(reason);
    await expectWhole(store, await importTree(store, TREE));
    await store.sweep();
    expect((await packIds(store)).length).toBe(1);
  });

  test("a commit that fails leaves nothing, and ends its session", async () => {
    const store = await open(storage);
    const problem = new StoreError("conflict", "not this one");
    const writing = writePacked(store, engine, { durability: "strict" }, async (services, session) => {
      await services.blobs.putMany([pseudoRandom(100, 1)]);
      const commit = session.commit(["pathInfos"], async (transaction) => {
        await transaction.objectStore("pathInfos").put({ half: true } as never, "0".repeat(32));
        throw problem;
      });
      await expect(commit).rejects.toBe(problem);
      // The failed commit may have succeeded in storage. Further objects must not rely on it.
      await expect(services.blobs.putMany([pseudoRandom(100, 2)])).rejects.toBe(problem);
      await session.commit([], async () => {});
    });
    await expect(writing).rejects.toBe(problem);
    expect(await recordKeys(store)).toEqual([]);
    expect(await store.database.read("pathInfos", (infos) => infos.getAllKeys())).toEqual([]);
    expect(await store.has(CHUNK, [digestOf(pseudoRandom(100, 1))])).toEqual([false]);
    // The session knows that packs may be left over, and has them removed.
    await expect.poll(() => packIds(store)).toEqual([]);
  });

  test("an aborted transaction gives a clear error, and leaves nothing", async () => {
    const store = await open(storage);
    const writing = writePacked(store, engine, { durability: "strict" }, async (services, session) => {
      await services.blobs.putMany([pseudoRandom(100, 1)]);
      await session.commit([], async (transaction) => transaction.abort());
    });
    expect(await failure(writing)).toBe("unavailable");
    expect(await recordKeys(store)).toEqual([]);
    expect(await importTree(store, TREE).then((info) => expectWhole(store, info))).toBeUndefined();
  });

  test("concurrent sessions don't see each other's objects, and both trees are complete", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(storage, name), await open(storage, name)];
    // This is longer than the buffer.
    const shared = { large: long(3, 2_500_000), text: "shared" };
    const running = await Promise.all([
      unfinishedImport(mine, { shared, one: "1" }, "one"),
      unfinishedImport(mine, { shared, two: "2" }, "two"),
      unfinishedImport(other, { shared, three: "3" }, "three"),
    ]);
    const during = await packIds(mine);
    expect(during.length).toBe(3);
    // Unfinished packs must not be treated as garbage.
    await Promise.all([mine.sweep(), other.sweep()]);
    expect(await packIds(mine)).toEqual(during);
    await Promise.all(running.map(({ end }) => end()));
    for (const store of [mine, other]) for (const { value } of running) await expectWhole(store, value);
    await expectClean(mine, other);
  });

  test("existing objects are not written again", async () => {
    const store = await open(storage);
    await importTree(store, TREE, "one");
    const counts = (): number[] => [...store.records].map(({ count }) => count).filter((count) => count > 0);
    const before = counts();
    await importTree(store, TREE, "two");
    expect(counts()).toEqual(before);
    // In OPFS, another pack has the path info.
    expect((await packIds(store)).length).toBe(storage === "opfs" ? 2 : 1);
    const again = await importTree(store, { ...TREE, another: "another" }, "three");
    // The text, and the root directory that names it.
    const added = objects(store, CHUNK).filter(({ digest }) => equalBytes(digest, hashOf("another")));
    expect(added.map(({ key }) => store.record(key)?.count)).toEqual([2]);
    await expectWhole(store, again);
  });

  test("a session reads its own objects: from the buffer, from the current pack, and from a finished pack", async () => {
    const store = await open(storage);
    await store.locks.writing(undefined, () =>
      store.holding(async () => {
        const session = new WriteSession(store, { durability: "relaxed" });
        const parts = Array.from({ length: 12 }, (_, i) => pseudoRandom(400_000 + i, i + 1));
        const digests: Digest[] = [];
        for (const bytes of parts) {
          const digest = digestOf(bytes);
          digests.push(digest);
          await session.write([{ kind: CHUNK, digest, bytes }]);
          const found = await session.read(CHUNK, digests);
          if (!found.every((each, i) => each && equalBytes(each, parts[i] as Uint8Array)))
            throw new Error(`after ${digests.length} chunks one is not what was written`);
        }
        expect(await store.has(CHUNK, digests)).toEqual(digests.map(() => false));
        await session.commit([], async () => {});
        expect(await store.has(CHUNK, digests)).toEqual(digests.map(() => true));
        // One object is in a committed pack, one in the current pack, and one in neither.
        const more = pseudoRandom(500, 77);
        const digest = digestOf(more);
        await session.write([{ kind: CHUNK, digest, bytes: more }]);
        const [old, fresh, missing] = await session.read(CHUNK, [digests[3] as Digest, digest, hashOf("nothing")]);
        expect(equalBytes(old as Uint8Array, parts[3] as Uint8Array) && equalBytes(fresh as Uint8Array, more)).toBe(true);
        expect(missing).toBeUndefined();
        await session.close();
      }),
    );
    await store.sweep();
    expect((await packIds(store)).length).toBe(1);
  });

  test("a session reads its own objects while it writes more, and packs are flushed", async () => {
    const store = await open(storage);
    const seed = pseudoRandom(4 * 1024 * 1024, 5);
    const parts = Array.from({ length: 18 }, (_, i) => concatBytes([new Uint8Array([i]), seed]));
    const digests = parts.map(digestOf);
    await writePacked(store, engine, { durability: "strict" }, async (_, session) => {
      const writing = (async () => {
        for (const [i, bytes] of parts.entries()) await session.write([{ kind: CHUNK, digest: digests[i] as Digest, bytes }]);
      })();
      let isOver = false;
      const over = writing.finally(() => {
        isOver = true;
      });
      const reading = Array.from({ length: 3 }, async () => {
        while (!isOver) {
          // The current pack may be finished before it is read.
          const found = await session.read(
            CHUNK,
            [7, 8, 15].map((i) => digests[i] as Digest),
          );
          expect([undefined, 7]).toContain(found[0]?.[0]);
          await new Promise((resolve) => setTimeout(resolve));
        }
      });
      await Promise.all([over, ...reading]);
      await session.commit([], async () => {});
    });
    expect(await store.has(CHUNK, digests)).toEqual(digests.map(() => true));
    await expectClean(store);
  });

  test("a reader with an old index finds objects that others wrote since, while they write more", async () => {
    const name = crypto.randomUUID();
    const [writer, other] = [await open(storage, name), await open(storage, name)];
    const infos = [];
    for (let i = 0; i < 5; i++) {
      infos.push(await importTree(writer, { [`f${i}`]: long(i + 10) }, `tree${i}`));
      // Many concurrent reads may each find that the index must be refreshed.
      await Promise.all(infos.map((info) => expectWhole(other, info)));
    }
  });

  test("a request during a refresh of the index sees everything that was committed before the request", async () => {
    const name = crypto.randomUUID();
    const [writer, other] = [await open(storage, name), await open(storage, name)];
    await importTree(writer, { a: "1" });
    const { database } = other;
    const snapshot = database.snapshot.bind(database);
    const [looked, go] = [gate(), gate()];
    // The first refresh ends late, after the second one.
    database.snapshot = async (names, work) => {
      const seen = await snapshot(names, work);
      database.snapshot = snapshot;
      looked.pass();
      await go.passed;
      return seen;
    };
    const first = other.refresh();
    await looked.passed;
    const info = await importTree(writer, { b: "2" });
    const question = other.has(CHUNK, [hashOf("2")]);
    go.pass();
    await first;
    expect(await question).toEqual([true]);
    await expectWhole(other, info);
  });

  test("a refresh that began before a commit does not undo the commit", async () => {
    const store = await open(storage);
    const importing = await unfinishedImport(store, { b: "2" });
    const { database } = store;
    const snapshot = database.snapshot.bind(database);
    const [looked, go] = [gate(), gate()];
    // Pretends that another tab has changed something.
    await database.write(["meta"], "relaxed", async (transaction) => {
      await transaction.objectStore("meta").put(1000, "generation");
    });
    database.snapshot = async (names, work) => {
      const seen = await snapshot(names, work);
      database.snapshot = snapshot;
      looked.pass();
      await go.passed;
      return seen;
    };
    const refreshing = store.refresh();
    await looked.passed;
    await importing.end();
    go.pass();
    await refreshing;
    // The new object is visible without another refresh.
    expect(hasObject(store, CHUNK, hashOf("2"))).toBe(true);
  });

  test("two tabs that open a new store at the same time agree on its identity", async () => {
    const name = crypto.randomUUID();
    const stores = await Promise.all([open(storage, name), open(storage, name), open(storage, name)]);
    const ids = await Promise.all(stores.map((store) => store.database.read("meta", (meta) => meta.get("id"))));
    expect(new Set(ids).size).toBe(1);
    expect(typeof ids[0]).toBe("string");
  });

  test("packs end before they exceed 32 MiB, and are committed together", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(storage, name), await open(storage, name)];
    const COUNT = 40;
    const seed = pseudoRandom(1024 * 1024, 3);
    const numbered = (i: number): Uint8Array => concatBytes([new Uint8Array([i, 0, 0, 0]), seed.subarray(4)]);
    const digests: Digest[] = [];
    await writePacked(mine, engine, { durability: "relaxed" }, async (_, session) => {
      for (let i = 0; i < COUNT; i++) {
        const bytes = numbered(i);
        const digest = digestOf(bytes);
        digests.push(digest);
        await session.write([{ kind: CHUNK, digest, bytes }]);
      }
      expect((await packIds(mine)).length).toBe(2);
      expect(await other.has(CHUNK, digests.slice(0, 2))).toEqual([false, false]);
      // One object is in the finished pack, the other in the current one.
      const found = await session.read(CHUNK, [digests[0] as Digest, digests[COUNT - 1] as Digest]);
      expect(found.map((bytes) => bytes?.[0])).toEqual([0, COUNT - 1]);
      await session.commit([], async () => {});
    });
    await other.refresh();
    const sizes = [...other.records].map(({ bytes }) => bytes);
    expect(sizes.sort((a, b) => a - b)).toEqual([8 * 1024 * 1024, 32 * 1024 * 1024]);
    for (const i of [0, 1, 30, 31, 32, 39]) {
      const [bytes] = await other.read(CHUNK, [digests[i] as Digest]);
      expect(equalBytes(bytes as Uint8Array, numbered(i)), `object ${i}`).toBe(true);
    }
  });
});

function hashOf(text: string): Digest {
  return digestOf(utf8(text));
}

test("the empty directory is not stored, and does not count as a missing pack", async () => {
  const store = await open("indexeddb");
  const info = await importTree(store, {});
  await expectWhole(store, info);
  expect(objects(store, DIRECTORY).length + objects(store, BLOB).length).toBe(1);
  expect(await store.missingPacks()).toBe(0);
  await expectClean(store);
});
