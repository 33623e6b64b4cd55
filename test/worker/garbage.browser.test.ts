import { afterEach, describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { packedReader, writePacked } from "../../src/worker/packed-services.ts";
import type { PackedStore } from "../../src/worker/packed-store.ts";
import { deletePin, importBlob, pinStorePath } from "../../src/worker/pins.ts";
import { storageUsage } from "../../src/worker/usage.ts";
import { readAll } from "../conformance/content.ts";
import {
  BLOB,
  CHUNK,
  changePack,
  closeAll,
  collect,
  DIRECTORY,
  engine,
  equalBytes,
  expectClean,
  expectWhole,
  failure,
  flip,
  forget,
  gate,
  hasObject,
  holdWrite,
  importTree,
  objects,
  open,
  packIds,
  place,
  reader,
  recordKeys,
  STORAGES,
  type Storage,
  session,
  unfinishedImport,
} from "./packed-world.browser.ts";
import { long } from "./trees.ts";

afterEach(closeAll);

function pinBlob(store: PackedStore, content: Uint8Array, pin: string): Promise<FileNode> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield content;
  };
  return writePacked(store, engine, { durability: "relaxed" }, (services, session) =>
    importBlob(services.blobs, session, source(), pin, {}),
  );
}

async function expectBlob(store: PackedStore, { digest }: FileNode, content: Uint8Array): Promise<void> {
  const found = await readAll(await reader(store).blobs.open(digest));
  expect(found && equalBytes(found, content)).toBe(true);
}

/** Expects that every pack has a record, and every record's pack exists. */
async function expectNoSpareParts(...stores: readonly PackedStore[]): Promise<void> {
  for (const store of stores) {
    await expect
      .poll(async () => {
        await store.refresh();
        return packIds(store);
      })
      .toEqual([...new Set([...store.records].map(({ pack }) => pack))].sort());
    expect(await store.missingPacks()).toBe(0);
  }
}

const chunkOf = (text: string): ReturnType<typeof digestOf> => digestOf(utf8(text));

/** Incompressible bytes, so that their size in a pack is known. */
const filling = (seed: number): Uint8Array => long(seed, 3_000_000);

describe.each(STORAGES)("garbage collection: packs in %s", (storage) => {
  test("keeps objects that path infos and pins reach, and drops the rest", async () => {
    const store = await open(storage);
    const kept = await importTree(store, { a: "kept", large: long(1), sub: { b: "below" } }, "kept");
    const pinned = await importTree(store, { c: "pinned", other: long(2) }, "pinned");
    const dropped = await importTree(store, { d: "dropped", a: "kept", third: long(3), sub: { e: "gone" } }, "dropped");
    const blob = await pinBlob(store, long(4), "blob");
    await pinStorePath(store, "pinned", pinned.storePath);
    const { value, end } = await session(store, (services) => services.blobs.putMany([utf8("never committed")]));
    await end();
    await forget(store, pinned, dropped);
    const report = await collect(store);
    // Two texts, two directories, and a file of several chunks with their list.
    expect(report.objects).toBeGreaterThan(6);
    expect(report.bytes).toBeGreaterThan(600_000);
    await expectWhole(store, kept);
    await expectBlob(store, blob, long(4));
    if (pinned.node.kind !== "directory") throw new Error("it is a directory");
    expect(await reader(store).directories.get(pinned.node.digest)).toBeDefined();
    expect(hasObject(store, CHUNK, chunkOf("pinned"))).toBe(true);
    for (const text of ["dropped", "gone"]) expect(hasObject(store, CHUNK, chunkOf(text))).toBe(false);
    expect(hasObject(store, BLOB, digestOf(long(3)))).toBe(false);
    expect(hasObject(store, CHUNK, value[0] as ReturnType<typeof digestOf>)).toBe(false);
    await expectClean(store);
    await expectNoSpareParts(store);
    expect(await collect(store)).toEqual({ objects: 0, bytes: 0 });

    expect(await deletePin(store, "pinned")).toBe(true);
    expect(await deletePin(store, "blob")).toBe(true);
    await collect(store);
    expect(objects(store, BLOB).map(({ digest }) => digest)).toEqual([digestOf(long(1))]);
    expect(hasObject(store, CHUNK, chunkOf("pinned"))).toBe(false);
    await expectWhole(store, kept);
    await expectClean(store);
    await forget(store, kept);
    await collect(store);
    expect(await recordKeys(store)).toEqual([]);
    expect(await packIds(store)).toEqual([]);
  });

  test("rewrites packs that are mostly garbage, so their storage is freed", async () => {
    const store = await open(storage);
    const both = await importTree(store, { kept: long(1), dropped: filling(2) }, "both");
    const kept = await importTree(store, { kept: long(1) }, "kept");
    const before = await storageUsage(store);
    await forget(store, both);
    const told: [number, number | undefined][] = [];
    const units = new Map<string, string>();
    await collect(store, {
      onProgress: ({ phase, unit, loaded, total }) => {
        units.set(phase, unit);
        if (phase === "rewriting") told.push([loaded, total]);
      },
    });
    const after = await storageUsage(store);
    expect(before.packs.bytes).toBeGreaterThan(3_600_000);
    expect(after.packs.bytes).toBeLessThan(650_000);
    expect(after.stored).toBeLessThan(650_000);
    expect(after.packs.bytes).toBeGreaterThan(600_000);
    expect(units).toEqual(new Map(Object.entries({ marking: "paths", rewriting: "bytes" })));
    const [last] = told.slice(-1);
    expect(last?.[0]).toBe(last?.[1]);
    await expectNoSpareParts(store);
    await expectWhole(store, kept);
    await expectClean(store);
  });

  test("keeps packs that are mostly in use", async () => {
    const store = await open(storage);
    const both = await importTree(store, { kept: filling(1), dropped: "dropped" }, "both");
    const kept = await importTree(store, { kept: filling(1) }, "kept");
    await forget(store, both);
    const before = await packIds(store);
    expect((await collect(store)).objects).toBe(2);
    expect(await packIds(store)).toEqual(before);
    expect(hasObject(store, CHUNK, chunkOf("dropped"))).toBe(false);
    await expectWhole(store, kept);
    await expectClean(store);
  });

  test("joins many small packs into one", async () => {
    const store = await open(storage);
    const infos: PathInfo[] = [];
    for (let i = 0; i < 9; i++) infos.push(await importTree(store, { text: `text ${i}`, same: "same" }, `tree${i}`));
    expect((await packIds(store)).length).toBe(9);
    expect(await collect(store)).toEqual({ objects: 0, bytes: 0 });
    expect((await packIds(store)).length).toBe(1);
    for (const info of infos) await expectWhole(store, info);
    await expectClean(store);
    await expectNoSpareParts(store);
  });

  test.each(["marking", "rewriting"])("an abort while %s loses nothing, and the next run completes the work", async (when) => {
    const store = await open(storage);
    const both = await importTree(store, { kept: long(1), dropped: filling(2) }, "both");
    const kept = await importTree(store, { kept: long(1) }, "kept");
    await forget(store, both);
    const controller = new AbortController();
    const reason = { why: "enough" };
    const collecting = collect(store, {
      signal: controller.signal,
      onProgress: ({ phase }) => {
        if (phase === when) controller.abort(reason);
      },
    });
    await expect(collecting).rejects.toBe(reason);
    expect(hasObject(store, BLOB, digestOf(filling(2)))).toBe(when === "marking");
    await expectWhole(store, kept);
    await expectClean(store);
    await collect(store);
    expect((await storageUsage(store)).packs.bytes).toBeLessThan(650_000);
    await expectWhole(store, kept);
    await expectNoSpareParts(store);
  });

  test("another tab can read while packs are rewritten", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(storage, name), await open(storage, name)];
    const kept: PathInfo[] = [];
    for (let i = 0; i < 9; i++) kept.push(await importTree(mine, { text: `text ${i}`, large: long(i + 1) }, `tree${i}`));
    let reads = 0;
    let isOver = false;
    // Three readers at a time: more of them would leave the collector hardly any time.
    const reading = Promise.all(
      [0, 3, 6].map(async (first) => {
        for (let i = 0; !isOver; i = (i + 1) % 3) {
          await expectWhole(other, kept[first + i] as PathInfo);
          reads++;
        }
      }),
    );
    for (let i = 0; i < 3; i++) {
      const dropped = await importTree(mine, { dropped: long(100 + i), text: `text ${i}` }, "dropped");
      await forget(mine, dropped);
      await collect(mine);
    }
    isOver = true;
    await reading;
    expect(reads).toBeGreaterThan(9);
    expect((await recordKeys(mine)).length).toBeLessThan(9);
    await expectClean(mine, other);
  });

  test("concurrent reads whose packs have been rewritten find their objects again", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(storage, name), await open(storage, name)];
    const both = await importTree(mine, { kept: "kept", dropped: filling(2) }, "both");
    const kept = await importTree(mine, { kept: "kept" }, "kept");
    await other.refresh();
    await forget(mine, both);
    const packs = storage === "opfs" ? other.packs.opfs : other.packs.indexeddb;
    if (!packs) throw new Error("there are no packs");
    const read = packs.read.bind(packs);
    const go = [gate(), gate()];
    let held = 0;
    packs.read = async (...args) => {
      await go[held++]?.passed;
      return read(...args);
    };
    const first = other.read(CHUNK, [chunkOf("kept")]);
    const second = other.read(CHUNK, [chunkOf("kept")]);
    await expect.poll(() => held).toBe(2);
    await collect(mine);
    go[0]?.pass();
    const [found] = await first;
    expect(found && equalBytes(found, utf8("kept"))).toBe(true);
    // By now the first read has refreshed the index.
    go[1]?.pass();
    const [again] = await second;
    expect(again && equalBytes(again, utf8("kept"))).toBe(true);
    await expectWhole(other, kept);
  });

  test("a damaged directory stops the collection before anything is deleted", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const kept = await importTree(store, { sub: { sub: { a: "a", large: long(1) } } }, "kept");
    await forget(store, await importTree(store, { b: "dropped", c: long(2) }, "dropped"));
    const before = [await recordKeys(store), await packIds(store)];
    const directories = objects(store, DIRECTORY).filter(({ key }) => store.record(key)?.count !== 0);
    const root = kept.node.kind === "directory" ? kept.node.digest : undefined;
    const [inner] = directories.filter(({ digest, key }) => !equalBytes(digest, root as never) && key === directories[0]?.key);
    if (!inner) throw new Error("there is no directory below the root");
    await flip(store, name, inner);
    expect(await failure(collect(store))).toBe("corrupt");
    expect([await recordKeys(store), await packIds(store)]).toEqual(before);
    await flip(store, name, inner);
    await collect(store);
    expect(hasObject(store, CHUNK, chunkOf("dropped"))).toBe(false);
    await expectWhole(store, kept);
  });

  test("a missing directory stops the collection before anything is deleted", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const kept = await importTree(store, { a: "a" }, "kept");
    await forget(store, await importTree(store, { b: "dropped" }, "dropped"));
    const { key } = place(store, CHUNK, chunkOf("a"));
    const record = await store.database.read("packs", (packs) => packs.get(key));
    await store.database.write(["packs", "meta"], "relaxed", async (transaction) => {
      await transaction.objectStore("packs").delete(key);
      await transaction.objectStore("meta").put(1000, "generation");
    });
    const packs = await packIds(store);
    expect(await failure(collect(store))).toBe("corrupt");
    const later = await open(storage, name);
    expect(await failure(collect(later))).toBe("corrupt");
    expect(await packIds(store)).toEqual(packs);
    await store.database.write(["packs", "meta"], "relaxed", async (transaction) => {
      await transaction.objectStore("packs").put(record as NonNullable<typeof record>, key);
      await transaction.objectStore("meta").put(1001, "generation");
    });
    await collect(later);
    await expectWhole(later, kept);
    expect(hasObject(later, CHUNK, chunkOf("dropped"))).toBe(false);
  });

  test("a damaged path info stops the collection before anything is deleted", async () => {
    const store = await open(storage);
    await importTree(store, { a: "a" }, "kept");
    await forget(store, await importTree(store, { b: "dropped" }, "dropped"));
    const before = await recordKeys(store);
    for (const damaged of [{}, { storePath: 1 }, "text", { node: { kind: "directory" } }, { node: { kind: "what" } }]) {
      await store.database.write(["pathInfos"], "relaxed", (transaction) =>
        transaction.objectStore("pathInfos").put(damaged as never, "0".repeat(32)),
      );
      expect(await failure(collect(store)), JSON.stringify(damaged)).toBe("corrupt");
      expect(await recordKeys(store)).toEqual(before);
    }
    await reader(store).pathInfos.delete("0".repeat(32));
    expect((await collect(store)).objects).toBe(2);
  });

  test("a damaged chunk and a truncated pack are left for `verify`, and all else is collected", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const blobs = Array.from({ length: 10 }, (_, i) => utf8(`blob ${i}`));
    const nodes: FileNode[] = [];
    for (const [i, blob] of blobs.entries()) nodes.push(await pinBlob(store, blob, `pin ${i}`));
    await flip(store, name, place(store, CHUNK, chunkOf("blob 3")));
    const truncated = place(store, CHUNK, chunkOf("blob 4"));
    await changePack(store, name, truncated.pack, (bytes) => bytes.slice(0, truncated.offset + truncated.length - 1));
    await deletePin(store, "pin 0");
    await forget(store, await importTree(store, { a: filling(1) }));
    expect((await collect(store)).bytes).toBeGreaterThan(3_000_000);
    for (const [i, blob] of blobs.entries()) {
      const read = reader(store).blobs.readMany([(nodes[i] as FileNode).digest]);
      if (i === 3 || i === 4) expect(await failure(read), `blob ${i}`).toBe("corrupt");
      else expect((await read)[0], `blob ${i}`).toEqual(i === 0 ? undefined : new Uint8Array(blob));
    }
    await expectNoSpareParts(store);
  });

  test("an empty directory that was never stored as an object is no damage", async () => {
    const store = await open(storage);
    const nar = await importTree(await open(storage), {}, "empty");
    await packedReader(store, engine).pathInfos.put(nar);
    await expectWhole(store, nar);
    await forget(store, await importTree(store, { b: "dropped" }, "dropped"));
    expect((await collect(store)).objects).toBe(2);
    await expectWhole(store, nar);
    await expectClean(store);
  });
});

/** Where the session runs: in the collecting tab or in another one. */
const WHERE = ["the same tab", "another tab"] as const;

async function twoTabs(storage: Storage, where: (typeof WHERE)[number]): Promise<[collector: PackedStore, writer: PackedStore]> {
  const name = crypto.randomUUID();
  const collector = await open(storage, name);
  return [collector, where === "another tab" ? await open(storage, name) : collector];
}

describe.each(STORAGES)("objects that a session relies on while they are collected: packs in %s", (storage) => {
  const TREE = {
    text: "text",
    empty: "",
    large: long(1),
    none: {},
    sub: { sub: { text: "another text", large: long(2), none: {} }, text: "a third" },
  };

  describe.each(WHERE)("in %s", (where) => {
    test("an import whose whole tree existed is complete", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      await forget(collector, await importTree(collector, TREE));
      const importing = await unfinishedImport(writer, TREE);
      expect((await collect(collector)).objects).toBeGreaterThan(8);
      expect(await recordKeys(collector)).toEqual([]);
      await importing.end();
      for (const store of [writer, collector]) {
        await expectWhole(store, importing.value);
        await expectClean(store);
      }
      await expectNoSpareParts(writer, collector);
    });

    test("a known directory also keeps everything beneath it", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      const info = await importTree(collector, TREE);
      const { node } = info;
      if (node.kind !== "directory") throw new Error("it is a directory");
      await forget(collector, info);
      const pulling = await session(
        writer,
        (services) => services.directories.get(node.digest),
        (services) => services.pathInfos.put(info),
      );
      expect(pulling.value).toBeDefined();
      await collect(collector);
      expect(await recordKeys(collector)).toEqual([]);
      await pulling.end();
      for (const store of [writer, collector]) {
        await expectWhole(store, info);
        await expectClean(store);
      }
      await expectNoSpareParts(writer, collector);
    });

    test("everything beneath a known directory can be read before the commit, as by a pull with verification", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      const info = await importTree(collector, TREE);
      const { node } = info;
      if (node.kind !== "directory") throw new Error("it is a directory");
      await forget(collector, info);
      const pulling = await session(
        writer,
        (services) => services.directories.get(node.digest),
        async (services) => {
          await writer.refresh();
          const nar = await calculateNar(services, engine, node);
          expect(nar.narHash).toBe(info.narHash);
          await services.pathInfos.put(info);
        },
      );
      await collect(collector);
      expect(await recordKeys(collector)).toEqual([]);
      await pulling.end();
      for (const store of [writer, collector]) {
        await expectWhole(store, info);
        await expectClean(store);
      }
      await expectNoSpareParts(writer, collector);
    });

    test.each([
      ["a text", utf8("some text")],
      ["content of several chunks", long(5)],
    ])("%s that was requested by its digest is kept", async (_, content) => {
      const [collector, writer] = await twoTabs(storage, where);
      const info = await importTree(collector, content);
      const { node } = info;
      if (node.kind !== "file") throw new Error("it is a file");
      await forget(collector, info);
      const pulling = await session(
        writer,
        (services) => services.blobs.stat([node.digest]),
        (services) => services.pathInfos.put(info),
      );
      expect(pulling.value[0]).toBeDefined();
      await collect(collector);
      expect(await recordKeys(collector)).toEqual([]);
      await pulling.end();
      for (const store of [writer, collector]) {
        await expectWhole(store, info);
        await expectClean(store);
      }
    });

    test("an import is complete if only a part of its tree was garbage", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      const kept = await importTree(collector, TREE.sub, "kept");
      await forget(collector, await importTree(collector, { ...TREE, filling: filling(3) }));
      const importing = await unfinishedImport(writer, TREE);
      await collect(collector);
      await importing.end();
      for (const store of [writer, collector]) {
        await expectWhole(store, importing.value);
        await expectWhole(store, kept);
        await expectClean(store);
      }
      await expectNoSpareParts(writer, collector);
    });

    test("an import is complete if garbage is collected again between two attempts of its commit", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      const kept = await importTree(collector, TREE.sub, "kept");
      await forget(collector, await importTree(collector, TREE));
      const importing = await unfinishedImport(writer, TREE);
      await collect(collector);
      // The first attempt finds that objects are gone, and looks for the others. Before the second
      // attempt, those are collected too.
      const first = holdWrite(writer, "pathInfos");
      const ending = importing.end();
      await first.reached;
      const second = holdWrite(writer, "pathInfos");
      first.go();
      await second.reached;
      await forget(collector, kept);
      await collect(collector);
      second.go();
      await ending;
      for (const store of [writer, collector]) {
        await expectWhole(store, importing.value);
        await expectClean(store);
      }
    });

    test("packs that were only rewritten are used at their new places", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      const infos: PathInfo[] = [];
      for (let i = 0; i < 8; i++) infos.push(await importTree(collector, { [`f${i}`]: long(i + 1) }, `tree${i}`));
      const all = Object.fromEntries(infos.map((_, i) => [`f${i}`, long(i + 1)]));
      const importing = await unfinishedImport(writer, all, "all");
      await collect(collector);
      const { bytes } = (await storageUsage(collector)).packs;
      await importing.end();
      for (const store of [writer, collector]) for (const info of [...infos, importing.value]) await expectWhole(store, info);
      // The commit wrote only the new root.
      expect((await storageUsage(collector)).packs.bytes - bytes).toBeLessThan(2000);
      await expectClean(writer, collector);
    });

    test("content that is published between marking and the collector's transaction is kept", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      await importTree(collector, { other: "other" }, "other");
      await forget(collector, await importTree(collector, TREE));
      const trimming = holdWrite(collector, "packs");
      const collecting = collect(collector);
      await trimming.reached;
      const info = await importTree(writer, TREE);
      const blob = concatBytes([long(1), utf8("with an end")]);
      const pinned = await pinBlob(writer, blob, "pin");
      trimming.go();
      await collecting;
      for (const store of [writer, collector]) {
        await expectWhole(store, info);
        await expectBlob(store, pinned, blob);
        await expectClean(store);
      }
    });

    test("content that is published after the collector read the index, and before it counted, is kept", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      await forget(collector, await importTree(collector, { large: long(1) }));
      const [reached, go] = [gate(), gate()];
      const count = collector.count.bind(collector);
      collector.count = async (key) => {
        collector.count = count;
        reached.pass();
        await go.passed;
        return count(key);
      };
      const collecting = collect(collector);
      await reached.passed;
      // Most chunks of this blob are garbage.
      const blob = concatBytes([long(1), utf8("with an end")]);
      const pinned = await pinBlob(writer, blob, "pin");
      const info = await importTree(writer, { sub: { large: blob } }, "new");
      go.pass();
      await collecting;
      for (const store of [writer, collector]) {
        await expectBlob(store, pinned, blob);
        await expectWhole(store, info);
        await expectClean(store);
      }
    });

    test("content that is published and deleted while garbage is marked leaves no incomplete objects", async () => {
      const [collector, writer] = await twoTabs(storage, where);
      await forget(collector, await importTree(collector, { large: long(1), text: "text" }));
      const trimming = holdWrite(collector, "packs");
      const collecting = collect(collector);
      await trimming.reached;
      const tree = { sub: { large: long(1), text: "text" }, more: "more" };
      await forget(writer, await importTree(writer, tree, "short-lived"));
      trimming.go();
      await collecting;
      await expectClean(collector, writer);
      // An import that finds a part of the tree relies on the whole of it.
      const info = await importTree(writer, tree, "again");
      for (const store of [writer, collector]) await expectWhole(store, info);
    });
  });

  test("a path that gets a signature while it is deleted and collected keeps its content", async () => {
    const [collector, writer] = await twoTabs(storage, "another tab");
    const info = await importTree(collector, TREE);
    const signing = await session(
      writer,
      (services) => services.pathInfos.get(info.storePath.slice(11, 43)),
      (services, found) => services.pathInfos.put(found as PathInfo),
    );
    await forget(collector, info);
    await collect(collector);
    await signing.end();
    for (const store of [writer, collector]) {
      await expectWhole(store, info);
      await expectClean(store);
    }
  });

  test("storage that a session kept from being freed is freed when the session ends, in any tab", async () => {
    const [collector, writer] = await twoTabs(storage, "another tab");
    await forget(collector, await importTree(collector, { large: filling(1) }));
    const { end } = await session(writer, async () => {});
    await collect(collector);
    expect(await recordKeys(collector)).toEqual([]);
    expect((await packIds(collector)).length).toBe(1);
    await end();
    await expect.poll(() => packIds(collector)).toEqual([]);
  });
});
