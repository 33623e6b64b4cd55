import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { type DirectorySizeRule, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { StoreError } from "../../src/error.ts";
import type { OperationOptions } from "../../src/progress.ts";
import type { LocalStoreServices, RemoteStore } from "../../src/store/services.ts";
import { refetch } from "../../src/worker/refetch.ts";
import { verifyStore } from "../../src/worker/verify.ts";
import {
  damage,
  directory,
  engine,
  entryOf,
  type MemoryStore,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  text,
} from "./memory-store.ts";

const [A, B] = [text("a"), text("b")];
const SUB = directory({ b: B.node });
const ROOT = directory({ a: A.node, sub: SUB.node });
const INFO = pathInfo("a", ROOT.node);

function remoteOf(services: LocalStoreServices): RemoteStore {
  return { ...services, name: "remote", calculateNar: () => Promise.reject(new Error("not needed")) };
}

/** A remote with the content of `ROOT`, encoded by a size rule, and with its path info. */
async function remote(rule: DirectorySizeRule = "documented"): Promise<RemoteStore & { readonly node: Node }> {
  const services = createMemoryStore();
  await services.blobs.putMany([A.bytes, B.bytes]);
  const sub = makeDirectory([{ name: utf8("b"), node: B.node }]);
  const root = makeDirectory([
    { name: utf8("a"), node: A.node },
    { name: utf8("sub"), node: directoryNode(sub, rule) },
  ]);
  await services.directories.put([sub, root]);
  const node = directoryNode(root, rule);
  await services.pathInfos.put({ ...INFO, node });
  return { ...remoteOf(services), node };
}

/**
 * Verifies the store, and fetches damaged objects again.
 *
 * @returns number of paths that are complete again
 */
function repair({ store }: MemoryStore, from: RemoteStore, options: OperationOptions = {}): Promise<number> {
  return store.holding(async () => refetch(store, engine, await verifyStore(store, engine, {}), from, options));
}

async function problems({ store }: MemoryStore): Promise<number> {
  const { report } = await store.holding(() => verifyStore(store, engine, {}));
  return report.corrupt.length + report.missing.length + report.storePaths.length;
}

async function stored(objects = [A, B, SUB, ROOT] as Parameters<typeof putPack>[1]): Promise<MemoryStore> {
  const world = memoryStore();
  await putPack(world, objects);
  await putPathInfos(world, INFO);
  return world;
}

describe("objects are fetched again:", () => {
  test.each([
    ["a damaged chunk", A],
    ["a damaged directory", SUB],
    ["a damaged root", ROOT],
  ])("%s, and the damaged one leaves the index", async (_, object) => {
    const world = await stored();
    damage(world, object.kind, object.digest);
    const before = entryOf(world, object);
    const told: number[] = [];
    expect(await repair(world, await remote(), { onProgress: ({ loaded }) => told.push(loaded) })).toBe(1);
    expect(await problems(world)).toBe(0);
    expect(entryOf(world, object)).not.toBe(before);
    expect(world.store.table.location(before).record.alive).toBe(false);
    expect(told).toEqual([1, 2]);
  });

  test("missing ones, and only those", async () => {
    const world = await stored([A, ROOT]);
    expect(await repair(world, await remote())).toBe(1);
    expect(await problems(world)).toBe(0);
    expect([...world.store.records].map(({ count }) => count)).toEqual([2, 2]);
  });

  test("under the own digests, although the remote counts sizes by the other rule", async () => {
    const from = await remote("doubled");
    expect(from.node).not.toEqual(ROOT.node);
    const world = await stored();
    damage(world, ROOT.kind, ROOT.digest);
    expect(await repair(world, from)).toBe(1);
    expect(await problems(world)).toBe(0);
  });

  test("for a pin, which is no store path and does not count", async () => {
    const world = memoryStore();
    await world.database.put("pins", "pin", { name: "pin", node: ROOT.node });
    expect(await repair(world, await remote())).toBe(0);
    expect(await problems(world)).toBe(0);
  });

  test("for a path that the remote does not list, if it has the content", async () => {
    const from = await remote();
    const world = await stored([A]);
    expect(await repair(world, { ...from, pathInfos: createMemoryStore().pathInfos })).toBe(1);
    expect(await problems(world)).toBe(0);
  });
});

describe("a remote that has other content under the same store path", () => {
  test.each<[string, (services: LocalStoreServices) => Promise<Node>]>([
    [
      "a file",
      async ({ blobs }) => {
        await blobs.putMany([utf8("other")]);
        return text("other").node;
      },
    ],
    [
      "a directory",
      async ({ directories }) => {
        const other = makeDirectory([]);
        await directories.put([other]);
        return directoryNode(other, "documented");
      },
    ],
  ])("does not make the path complete: %s", async (_, put) => {
    const services = createMemoryStore();
    await services.pathInfos.put({ ...INFO, node: await put(services) });
    const world = await stored([A, ROOT]);
    const before = await problems(world);
    expect(await repair(world, remoteOf(services))).toBe(0);
    expect(await problems(world)).toBe(before);
  });
});

describe("a remote that lacks content", () => {
  test("leaves a path damaged, and repairs the others", async () => {
    const world = await stored();
    damage(world, ROOT.kind, ROOT.digest);
    await putPathInfos(world, pathInfo("b", text("lost").node), pathInfo("c", text("lost too").node));
    const before = await problems(world);
    expect(await repair(world, await remote())).toBe(1);
    expect(before - (await problems(world))).toBe(2);
  });

  test("leaves a damaged object in the index, so that it stays reported", async () => {
    const world = await stored();
    damage(world, A.kind, A.digest);
    const before = entryOf(world, A);
    expect(await repair(world, remoteOf(createMemoryStore()))).toBe(0);
    expect(entryOf(world, A)).toBe(before);
    expect([...world.store.records]).toHaveLength(1);
  });
});

test("an object that is intact in another pack only leaves its damaged record", async () => {
  const world = await stored();
  damage(world, A.kind, A.digest);
  const before = entryOf(world, A);
  await putPack(world, [A]);
  expect(await repair(world, remoteOf(createMemoryStore()))).toBe(0);
  expect(entryOf(world, A)).not.toBe(before);
  expect(await problems(world)).toBe(0);
});

test("other errors of the remote, and an abort, end the repair", async () => {
  const world = await stored();
  damage(world, A.kind, A.digest);
  const from = await remote();
  const problem = new StoreError("unavailable", "no answer");
  const failing = { ...from, pathInfos: { ...from.pathInfos, get: () => Promise.reject(problem) } };
  await expect(repair(world, failing)).rejects.toBe(problem);
  const controller = new AbortController();
  const aborting = {
    ...from,
    pathInfos: {
      ...from.pathInfos,
      get: async () => {
        controller.abort("enough");
        throw new StoreError("not-found", "a late answer");
      },
    },
  };
  await expect(repair(world, aborting, { signal: controller.signal })).rejects.toBe("enough");
  expect(await problems(world)).toBe(2);
});
