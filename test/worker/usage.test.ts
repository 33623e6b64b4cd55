import { expect, test, vi } from "vitest";
import { storageUsage } from "../../src/worker/usage.ts";
import {
  directory,
  dropRecord,
  hashPart,
  longBlob,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  symlink,
  text,
} from "./memory-store.ts";

const [A, B] = [text("a"), text("bb")];
const LONG = longBlob(A, B);
const ROOT = directory({ a: A.node });

function browser(storage: object | undefined): void {
  vi.stubGlobal("navigator", { ...navigator, storage });
}

test("objects count once, and packs once, whatever their records", async () => {
  const world = memoryStore();
  const first = await putPack(world, [A, B, LONG, ROOT]);
  const again = await putPack(world, [A]);
  await dropRecord(world, await putPack(world, [text("dead")]));
  // A second record of the first pack.
  await world.database.put("packs", "same pack", {
    pack: first.pack,
    storage: "opfs",
    size: first.size,
    entries: new Uint8Array(),
  });
  await world.database.put("meta", "generation", 99);
  browser({ estimate: async () => ({ usage: 5, quota: 10 }), persisted: async () => true });
  expect(await storageUsage(world.store)).toEqual({
    storage: "opfs",
    storePaths: 0,
    logical: 0,
    stored: 3 + LONG.bytes.length + ROOT.bytes.length,
    objects: {
      chunks: { count: 2, bytes: 3 },
      directories: { count: 1, bytes: ROOT.bytes.length },
      blobs: { count: 1, bytes: LONG.bytes.length },
    },
    packs: { count: 2, bytes: first.size + again.size },
    originUsage: 5,
    quota: 10,
    persisted: true,
  });
});

test("sizes of damaged path infos don't count, but their paths do", async () => {
  const world = memoryStore("indexeddb");
  browser({});
  await putPathInfos(world, pathInfo("a", symlink, { narSize: 100 }), pathInfo("b", symlink, { narSize: 20 }));
  for (const [letter, narSize] of [
    ["c", -1],
    ["d", 1.5],
    ["f", "7"],
    ["g", 2 ** 53],
  ] as const)
    await world.database.put("pathInfos", hashPart(letter), { ...pathInfo(letter, symlink), narSize });
  await world.database.put("pathInfos", hashPart("h"), null);
  expect(await storageUsage(world.store)).toMatchObject({ storage: "indexeddb", storePaths: 7, logical: 120 });
});

test.each([
  ["offers no storage API", undefined],
  ["lacks the calls", {}],
  [
    "refuses to tell",
    { estimate: () => Promise.reject(new TypeError("no")), persisted: () => Promise.reject(new TypeError("no")) },
  ],
])("a browser that %s leaves the figures of the origin open", async (_, storage) => {
  const world = memoryStore();
  browser(storage);
  const { originUsage, quota, persisted } = await storageUsage(world.store);
  expect({ originUsage, quota, persisted }).toEqual({ originUsage: undefined, quota: undefined, persisted: undefined });
});
