import { describe, expect, test, vi } from "vitest";
import { decodeDirectory } from "../../src/castore/directory-codec.ts";
import { HEADER_LENGTH } from "../../src/worker/pack-format.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { Trim } from "../../src/worker/trim.ts";
import { verifyStore } from "../../src/worker/verify.ts";
import { WriteSession } from "../../src/worker/write-session.ts";
import {
  damage,
  directory,
  engine,
  entryOf,
  has,
  longBlob,
  type MemoryStore,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  text,
  write,
} from "./memory-store.ts";

const A = text("a");

describe("content that is written again", () => {
  const [B, LONG] = [text("b"), longBlob(text("c"), text("d"))];
  const SUB = directory({ b: B.node, long: LONG.node });
  const ROOT = directory({ a: A.node, sub: SUB.node });
  const OBJECTS = [A, B, SUB, ROOT];
  const WHOLE = pathInfo("a", ROOT.node);

  const put = (world: MemoryStore): Promise<unknown> =>
    write(world, async ({ blobs, directories, pathInfos }) => {
      await blobs.putMany([A.bytes, B.bytes]);
      await directories.put([decodeDirectory(SUB.bytes), decodeDirectory(ROOT.bytes)]);
      await pathInfos.put(WHOLE);
    });

  async function stored(): Promise<MemoryStore> {
    const world = memoryStore();
    await putPack(world, [text("c"), text("d"), LONG]);
    await putPack(world, OBJECTS);
    await putPathInfos(world, WHOLE);
    return world;
  }

  const corrupt = async ({ store }: MemoryStore): Promise<unknown> =>
    (await store.holding(() => verifyStore(store, engine, {}))).report.corrupt;

  test.each([
    ["a chunk", [A]],
    ["a directory", [SUB]],
    ["everything", OBJECTS],
  ])("replaces damaged objects: %s", async (_, damaged) => {
    const world = await stored();
    for (const { kind, digest } of damaged) damage(world, kind, digest);
    expect(await corrupt(world)).toHaveLength(damaged.length);
    const before = world.store.table.count;
    await put(world);
    expect(world.store.table.count).toBeGreaterThanOrEqual(before + damaged.length);
    expect(await corrupt(world)).toEqual([]);
    // Another tab, which reads the index anew, finds the good objects too.
    const other = memoryStore("opfs", world);
    expect(await corrupt(other)).toEqual([]);
    for (const object of OBJECTS) expect(has(other, object)).toBe(true);
  });

  test("replaces an object that is damaged in several packs, and those of a pack that is cut short", async () => {
    const world = await stored();
    const copy = await putPack(world, [A, B]);
    for (const record of world.store.records) {
      if (record !== copy && record.count !== OBJECTS.length) continue;
      const file = world.opfs.files.get(record.pack) as Uint8Array;
      // A is the first object of both packs.
      file[HEADER_LENGTH] = (file[HEADER_LENGTH] as number) ^ 1;
    }
    await put(world);
    expect(await corrupt(world)).toEqual([]);
    const { record } = world.store.table.location(entryOf(world, ROOT));
    const file = world.opfs.files.get(record.pack) as Uint8Array;
    world.opfs.files.set(record.pack, file.slice(0, HEADER_LENGTH + 10));
    await put(world);
    expect(await corrupt(memoryStore("opfs", world))).toEqual([]);
    for (const object of OBJECTS) expect(has(world, object)).toBe(true);
  });

  test("is not written if the stored objects are intact", async () => {
    const world = await stored();
    const packs = world.opfs.files.size;
    await put(world);
    expect(world.opfs.files.size).toBe(packs);
  });

  test("is compared once in a session, and not with what the session itself wrote", async () => {
    const world = await stored();
    const reads = vi.spyOn(world.opfs, "read");
    await write(world, async ({ blobs, pathInfos }) => {
      for (let i = 0; i < 3; i++) {
        await blobs.putMany([A.bytes, text("new").bytes]);
        await pathInfos.put(pathInfo("b", text("new").node));
      }
    });
    expect(reads).toHaveBeenCalledOnce();
  });

  test("does not replace good objects while garbage collection copies damaged ones", async () => {
    const world = await stored();
    const copy = await putPack(world, [A]);
    // The damaged copy is in a pack that gets rewritten.
    const session = new WriteSession(world.store, { durability: "strict", replaces: new Set([copy]), compares: false });
    await session.write([{ ...A, bytes: text("x").bytes }]);
    await session.commit([], async () => {});
    await session.close();
    expect(await corrupt(world)).toEqual([]);
  });

  test("is not replaced by a collection that began before", async () => {
    const world = await stored();
    damage(world, A.kind, A.digest);
    const { record } = world.store.table.location(entryOf(world, A));
    const other = memoryStore("opfs", world);
    await other.store.refresh();
    const session = new WriteSession(other.store, {
      durability: "strict",
      replaces: new Set([other.store.record(record.key) as IndexRecord]),
      compares: false,
    });
    await session.write([{ ...A, bytes: text("x").bytes }]);
    await put(world);
    await expect(session.commit([], async () => {})).rejects.toMatchObject({ code: "corrupt" });
    await session.close();
    expect(await corrupt(memoryStore("opfs", world))).toEqual([]);
    expect(world.store.isIndexDamaged).toBe(false);
  });

  test("is written again if another tab rewrites the damaged pack at the same time", async () => {
    const world = await stored();
    damage(world, A.kind, A.digest);
    const other = memoryStore("opfs", world);
    await other.store.refresh();
    await write(world, async ({ blobs, pathInfos }) => {
      await blobs.putMany([A.bytes]);
      // The other tab replaces the record meanwhile.
      const record = other.store.table.location(entryOf(other, A)).record;
      const trim = new Trim(other.store, [record], (entry) => entry !== entryOf(other, B));
      await other.store.database.write(["packs", "meta"], "strict", (transaction) => trim.write(transaction));
      await pathInfos.put(WHOLE);
    });
    expect(await corrupt(memoryStore("opfs", world))).toEqual([]);
  });
});
