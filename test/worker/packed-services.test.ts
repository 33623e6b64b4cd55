import { describe, expect, test, vi } from "vitest";
import type { PathInfo } from "../../src/store/path-info.ts";
import { decodePathInfo } from "../../src/wire/stored-messages.ts";
import { describePack } from "../../src/worker/pack-trailer.ts";
import { packedReader, writePacked } from "../../src/worker/packed-services.ts";
import {
  allSettled,
  CHUNK,
  directory,
  dropRecord,
  engine,
  failure,
  has,
  hashPart,
  type MemoryStore,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  symlink,
  text,
  write,
} from "./memory-store.ts";

const A = text("a");
const INFO = pathInfo("a", A.node);
const SIGNATURE = `key:${"A".repeat(86)}==`;

/** Store paths of the path infos in all packs. */
async function noted({ opfs }: MemoryStore): Promise<PathInfo[]> {
  const found: PathInfo[] = [];
  for (const id of opfs.files.keys()) {
    const { trailer } = (await describePack(opfs, id)) ?? {};
    for (const bytes of trailer?.pathInfos ?? []) found.push(await decodePathInfo("a pack", bytes));
  }
  return found;
}

describe("a reader", () => {
  test("refuses blobs and directories, and puts a PathInfo in a session of its own", async () => {
    const world = memoryStore();
    const reader = packedReader(world.store, engine);
    expect(await failure(reader.blobs.putMany([A.bytes]))).toBe("internal");
    await putPack(world, [A]);
    expect(await reader.pathInfos.put(INFO)).toEqual(INFO);
    expect(await reader.pathInfos.get(hashPart("a"))).toEqual(INFO);
    expect(world.database.transactions.filter(({ durability }) => durability === "strict")).toHaveLength(1);
  });

  test("finds content, and nothing that is missing", async () => {
    const world = memoryStore();
    const root = directory({ a: A.node });
    await putPack(world, [A, root]);
    const { blobs, directories } = packedReader(world.store, engine);
    expect(await directories.get(root.digest)).toEqual({ entries: [{ name: new Uint8Array([97]), node: A.node }] });
    expect((await blobs.stat([A.digest, text("b").digest])).map((found) => found !== undefined)).toEqual([true, false]);
    expect(await directories.get(A.digest)).toBeUndefined();
  });
});

describe("path infos", () => {
  test("that break a rule are corrupt, in an answer and in a list", async () => {
    const world = memoryStore();
    await putPathInfos(world, INFO);
    await world.database.put("pathInfos", hashPart("b"), { ...pathInfo("b", A.node), narSize: 0 });
    const { pathInfos } = packedReader(world.store, engine);
    expect(await failure(pathInfos.get(hashPart("b")))).toBe("corrupt");
    const listed: PathInfo[] = [];
    const listing = async (): Promise<void> => {
      for await (const info of pathInfos.list()) listed.push(info);
    };
    expect(await failure(listing())).toBe("corrupt");
    expect(listed).toEqual([INFO]);
  });

  test("are deleted, also if they break a rule", async () => {
    const world = memoryStore();
    await world.database.put("pathInfos", hashPart("b"), { ...pathInfo("b", A.node), narSize: 0 });
    const { pathInfos } = packedReader(world.store, engine);
    expect(await pathInfos.delete(hashPart("b"))).toBe(true);
    expect(await pathInfos.delete(hashPart("b"))).toBe(false);
  });

  test.each(["opfs", "indexeddb"] as const)("that break a rule are refused, and replaced by good ones: %s", async (storage) => {
    const world = memoryStore(storage);
    await write(world, async ({ pathInfos }) => {
      expect(await failure(pathInfos.put({ ...INFO, narSize: 0 }))).toBe("invalid");
    });
    expect(world.database.rows("pathInfos")).toEqual([]);
    await world.database.put("pathInfos", hashPart("a"), { ...INFO, narSize: 0, signatures: [SIGNATURE] });
    await write(world, async ({ pathInfos }) => {
      expect(await pathInfos.put(INFO)).toEqual(INFO);
    });
  });

  test("are merged with the stored ones, and counted as roots", async () => {
    const world = memoryStore();
    const signed = { ...INFO, signatures: [SIGNATURE] };
    await putPathInfos(world, signed);
    await write(world, async ({ pathInfos }) => {
      expect(await pathInfos.put(INFO)).toEqual(signed);
    });
    expect(await world.store.count("roots")).toBe(1);
  });

  test("that conflict with the stored one are refused; the session can go on", async () => {
    const world = memoryStore();
    await putPathInfos(world, INFO);
    const next = pathInfo("b", A.node);
    await write(world, async ({ pathInfos }) => {
      expect(await failure(pathInfos.put({ ...INFO, narSize: 7, narHash: `sha256-${"B".repeat(42)}A=` }))).toBe("conflict");
      expect(await pathInfos.put(next)).toEqual(next);
    });
    expect(world.database.rows("pathInfos").map(([, info]) => info)).toEqual([INFO, next]);
    expect(await world.store.count("roots")).toBe(1);
    expect(await noted(world)).toEqual([next]);
  });
});

describe("the trailer of a pack notes a path info", () => {
  test("as it is stored, with the signatures of both", async () => {
    const world = memoryStore();
    const signed = { ...INFO, signatures: [SIGNATURE] };
    await putPathInfos(world, signed);
    const other = `other:${"A".repeat(86)}==`;
    await write(world, ({ pathInfos }) => pathInfos.put({ ...INFO, signatures: [other] }));
    expect(await noted(world)).toEqual([{ ...INFO, signatures: [SIGNATURE, other] }]);
  });

  test("but not one that the store has already, and none in IndexedDB", async () => {
    const world = memoryStore();
    await putPathInfos(world, INFO);
    await write(world, ({ pathInfos }) => pathInfos.put(INFO));
    expect(world.opfs.finished).toEqual([]);
    const other = memoryStore("indexeddb");
    await write(other, ({ pathInfos }) => pathInfos.put(INFO));
    expect(other.indexeddb.finished).toEqual([]);
    expect(other.database.rows("pathInfos")).toHaveLength(1);
  });
});

describe("a session that puts a PathInfo again relies on its content", () => {
  test.each([
    ["a file", A.node, [A]],
    ["a directory", directory({ a: A.node }).node, [A, directory({ a: A.node })]],
  ])("%s that is collected before the commit is copied from its old pack", async (_, node, objects) => {
    const world = memoryStore();
    const old = await putPack(world, objects);
    await write(world, async ({ pathInfos }) => {
      const write = world.database.write.bind(world.database);
      // A collection ends just before the commit.
      world.database.write = async (...args) => {
        world.database.write = write;
        await dropRecord(memoryStore("opfs", world), old);
        return write(...args);
      };
      await pathInfos.put(pathInfo("a", node));
    });
    await allSettled();
    expect(objects.map((object) => has(world, object))).toEqual(objects.map(() => true));
    expect([...world.store.records].some(({ pack }) => pack === old.pack)).toBe(false);
    expect(await world.store.read(CHUNK, [A.digest])).toEqual([A.bytes]);
  });

  test("unless it is a symlink, which has none", async () => {
    const world = memoryStore();
    const info = pathInfo("a", symlink);
    expect(await write(world, ({ pathInfos }) => pathInfos.put(info))).toEqual(info);
  });
});

describe("a session", () => {
  test("holds the writers' lock, and its objects are deleted if its work fails", async () => {
    const world = memoryStore();
    const problem = new Error("the work failed");
    const writing = write(world, async ({ blobs }) => {
      expect(world.locks.held).toEqual([{ name: "tvix-store-web:memory:writers", mode: "shared" }]);
      await blobs.putMany([A.bytes]);
      throw problem;
    });
    await expect(writing).rejects.toBe(problem);
    expect(world.locks.held).toEqual([]);
    expect(world.opfs.aborted).toHaveLength(1);
    expect(has(world, A)).toBe(false);
  });

  test("begins with a refresh, and ends with a sweep of what others left", async () => {
    const world = memoryStore();
    await world.store.refresh();
    const other = memoryStore("opfs", world);
    const old = await putPack(other, [A]);
    await write(world, async ({ blobs }) => {
      expect(await blobs.stat([A.digest])).not.toContain(undefined);
      await dropRecord(other, old);
      await world.store.refresh();
    });
    await allSettled();
    expect([...world.opfs.files.keys()]).toEqual([]);
  });

  test("that is aborted while others hold the lock never begins", async () => {
    const world = memoryStore();
    const controller = new AbortController();
    const work = vi.fn(async () => {});
    await world.store.locks.withoutWriters(undefined, async () => {
      const writing = writePacked(world.store, engine, { durability: "strict", signal: controller.signal }, work);
      const rejected = expect(writing).rejects.toBe("enough");
      controller.abort("enough");
      await rejected;
    });
    expect(work).not.toHaveBeenCalled();
  });
});
