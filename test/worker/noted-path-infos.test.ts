import { describe, expect, test } from "vitest";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { NotedPathInfos } from "../../src/worker/noted-path-infos.ts";
import {
  directory,
  dropRecord,
  hashPart,
  longBlob,
  type MemoryStore,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  symlink,
  text,
} from "./memory-store.ts";

const A = text("a");
const [first, second, third] = [pathInfo("a", A.node), pathInfo("b", A.node), pathInfo("c", A.node)];

/** First letters of the paths that `lacking` yields. */
async function lacking(
  world: MemoryStore,
  removed: Parameters<NotedPathInfos["lacking"]>[0] = new Set(),
): Promise<string | undefined> {
  const infos = (await NotedPathInfos.read(world.store)).lacking(removed);
  if (!infos) return undefined;
  let letters = "";
  for await (const { storePath } of infos) letters += storePath[11];
  return letters;
}

describe("a pack is dead", () => {
  async function isDead(
    world: MemoryStore,
    ...put: Parameters<typeof putPack> extends [unknown, ...infer Rest] ? Rest : never
  ): Promise<boolean> {
    const record = await putPack(world, ...put);
    return (await NotedPathInfos.read(world.store)).isDead(record);
  }

  test("if it has no objects, and only path infos of deleted paths", async () => {
    const world = memoryStore();
    expect(await isDead(world, [], { pathInfos: [first, second] })).toBe(true);
  });

  test("not if one of its paths exists", async () => {
    const world = memoryStore();
    await putPathInfos(world, second);
    expect(await isDead(world, [], { pathInfos: [first, second] })).toBe(false);
  });

  test("not if it has objects, or no path infos", async () => {
    const world = memoryStore();
    expect(await isDead(world, [A], { pathInfos: [first] })).toBe(false);
    expect(await isDead(world, [])).toBe(false);
    expect(await isDead(world, [], { pathInfos: [first], storage: "indexeddb" })).toBe(false);
  });

  test("not if it can't be read", async () => {
    const world = memoryStore();
    world.opfs.inUse.add("open");
    expect(await isDead(world, [], { pathInfos: [first], id: "open" })).toBe(false);
    const gone = await putPack(world, [], { pathInfos: [first] });
    world.opfs.files.delete(gone.pack);
    expect((await NotedPathInfos.read(world.store)).isDead(gone)).toBe(false);
  });
});

describe("the next pack needs", () => {
  test("the path infos of store paths that are in no pack", async () => {
    const world = memoryStore();
    await putPack(world, [A], { pathInfos: [first] });
    await putPathInfos(world, first, second, third);
    expect(await lacking(world)).toBe("bc");
  });

  test("none if all of them are in packs, if there are none, or if new packs go to IndexedDB", async () => {
    const world = memoryStore();
    expect(await lacking(world)).toBeUndefined();
    await putPack(world, [A], { pathInfos: [first] });
    await putPathInfos(world, first);
    expect(await lacking(world)).toBeUndefined();
    await putPathInfos(world, second);
    expect(await lacking(world)).toBe("b");
    expect(await lacking(memoryStore("indexeddb", world))).toBeUndefined();
  });

  test("the path infos of packs that are removed", async () => {
    const world = memoryStore();
    const removed = await putPack(world, [A], { pathInfos: [first] });
    await putPack(world, [], { pathInfos: [second] });
    await putPathInfos(world, first, second);
    expect(await lacking(world, new Set([removed]))).toBe("a");
  });

  test("path infos whose pack can't be read, or whose index record is damaged", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    const [gone, damaged] = [await putPack(world, [], { pathInfos: [first] }), await putPack(world, [], { pathInfos: [second] })];
    await putPathInfos(world, first, second);
    world.opfs.files.delete(gone.pack);
    damaged.damaged = true;
    expect(await lacking(world)).toBe("ab");
  });

  test("no path info without its root in a pack that a repair can read", async () => {
    const world = memoryStore();
    const inDatabase = text("in IndexedDB");
    const [rewritten, dropped] = [text("rewritten"), text("dropped")];
    const list = longBlob(A, inDatabase);
    const root = directory({ a: A.node });
    await putPack(world, [inDatabase], { storage: "indexeddb" });
    const removed = await putPack(world, [rewritten], { storage: "indexeddb" });
    await dropRecord(world, await putPack(world, [dropped]));
    const old = await putPack(world, [A]);
    // A pack of version 2 has no trailer.
    old.trailer = 0;
    await putPack(world, [list, root]);
    await putPathInfos(
      world,
      pathInfo("a", A.node),
      pathInfo("b", inDatabase.node),
      pathInfo("c", rewritten.node),
      pathInfo("d", dropped.node),
      pathInfo("f", list.node),
      pathInfo("g", root.node),
      pathInfo("h", symlink),
      pathInfo("i", { kind: "directory", digest: EMPTY_DIGEST, size: 0n }),
      pathInfo("j", { ...root.node, digest: A.digest }),
    );
    expect(await lacking(world, new Set([removed]))).toBe("cfghi");
  });

  test("no path info that is damaged, or deleted meanwhile", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    await putPathInfos(world, first, second);
    await world.database.put("pathInfos", hashPart("c"), { ...third, narSize: 0 } satisfies PathInfo);
    const noted = await NotedPathInfos.read(world.store);
    await world.database.delete("pathInfos", hashPart("a"));
    // A path that was put meanwhile is in a pack of its own session.
    await putPathInfos(world, pathInfo("d", A.node));
    const found: string[] = [];
    for await (const { storePath } of noted.lacking(new Set()) ?? []) found.push(storePath);
    expect(found).toEqual([second.storePath]);
  });
});

test("other errors than those of a pack are passed on", async () => {
  const world = memoryStore();
  await putPack(world, [A], { pathInfos: [first] });
  const problem = new Error("a bug");
  world.opfs.read = () => Promise.reject(problem);
  await expect(NotedPathInfos.read(world.store)).rejects.toBe(problem);
});
