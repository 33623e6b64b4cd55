import { describe, expect, test } from "vitest";
import type { PathInfo } from "../../src/store/path-info.ts";
import { describePack } from "../../src/worker/pack-trailer.ts";
import type { RepairedPack } from "../../src/worker/repair.ts";
import { RepairView } from "../../src/worker/repair-view.ts";
import { lostPathInfos, putLostPathInfo } from "../../src/worker/repaired-paths.ts";
import {
  hashPart,
  type MemoryStore,
  makePack,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  symlink,
  text,
} from "./memory-store.ts";

const signature = (key: string): string => `${key}:${"A".repeat(86)}==`;
const WHOLE = pathInfo("a", symlink);
const A = text("a");

/** A pack of a lost store with these path infos, the newest last. */
async function lost(world: MemoryStore, created: number, pathInfos: readonly PathInfo[], isForeign = true): Promise<RepairedPack> {
  const { id, bytes, record } = await makePack(world, [], { pathInfos, created, by: "lost store" });
  world.opfs.files.set(id, bytes);
  const described = await describePack(world.opfs, id);
  if (!described) throw new Error("the pack has no header");
  return { described, isForeign, record: { ...record, trailer: 0, alive: false, key: id, count: 0, bytes: 0 } };
}

function find({ store }: MemoryStore, ...packs: readonly RepairedPack[]): ReturnType<typeof lostPathInfos> {
  return lostPathInfos(store, new RepairView(store), packs);
}

describe("the path infos of lost packs", () => {
  test("are found if their content is complete", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    const [complete, incomplete, other] = [
      pathInfo("b", A.node),
      pathInfo("c", text("lost").node),
      pathInfo("d", text("lost").node),
    ];
    const pack = await lost(world, 1, [other, WHOLE, complete, incomplete]);
    expect(await find(world, pack)).toEqual({ found: [complete, WHOLE], incomplete: [incomplete.storePath, other.storePath] });
  });

  test("of packs of this store are not lost", async () => {
    const world = memoryStore();
    expect(await find(world, await lost(world, 1, [WHOLE], false))).toEqual({ found: [], incomplete: [] });
  });

  test("are the newest ones with complete content, with the signatures of older ones", async () => {
    const world = memoryStore();
    const sign = (...keys: string[]): PathInfo => ({ ...WHOLE, signatures: keys.map(signature) });
    const gone = { ...sign("gone"), node: A.node };
    const packs = [
      await lost(world, 1, [sign("oldest")]),
      await lost(world, 3, [sign("older-in-the-pack"), sign("newest"), gone]),
      await lost(world, 2, [{ ...sign("conflict"), narHash: `sha256-${"B".repeat(42)}A=` }]),
    ];
    const { found, incomplete } = await find(world, ...packs);
    expect(found).toEqual([sign("oldest", "older-in-the-pack", "newest")]);
    // There is a complete one, so nothing is lost.
    expect(incomplete).toEqual([]);
  });

  test("with incomplete content are not reported if the store has the path", async () => {
    const world = memoryStore();
    const info = pathInfo("a", A.node);
    await putPathInfos(world, info);
    expect(await find(world, await lost(world, 1, [info]))).toEqual({ found: [], incomplete: [] });
  });

  test("that can't be decoded are left out", async () => {
    const world = memoryStore();
    const pack = await lost(world, 1, [WHOLE]);
    const pathInfos = [Uint8Array.of(0xff, 0xff), ...pack.described.trailer.pathInfos, new Uint8Array()];
    const { trailer } = pack.described;
    expect(await find(world, { ...pack, described: { ...pack.described, trailer: { ...trailer, pathInfos } } })).toEqual({
      found: [WHOLE],
      incomplete: [],
    });
  });
});

describe("a lost path info is put", () => {
  async function put(info: PathInfo, current?: PathInfo): Promise<{ isNew: boolean; stored: unknown }> {
    const world = memoryStore();
    if (current) await putPathInfos(world, current);
    const isNew = await world.database.asDatabase.write(["pathInfos"], "strict", (transaction) =>
      putLostPathInfo(transaction, info),
    );
    expect(world.database.rows("pathInfos").map(([key]) => key)).toEqual([hashPart("a")]);
    return { isNew, stored: world.database.rows("pathInfos")[0]?.[1] };
  }
  const old = { ...WHOLE, signatures: [signature("old")] };

  test("if the store lacks the path", async () => {
    expect(await put(old)).toEqual({ isNew: true, stored: old });
  });

  test("or else its signatures are added to the current one", async () => {
    const current = { ...WHOLE, signatures: [signature("current")], deriver: `${hashPart("c")}-x.drv` };
    const stored = { ...current, signatures: [signature("old"), signature("current")] };
    expect(await put(old, current)).toEqual({ isNew: false, stored });
  });

  test("but the current one stays if the content differs, or if there are too many signatures", async () => {
    const other = { ...WHOLE, narHash: `sha256-${"B".repeat(42)}A=` };
    expect(await put(old, other)).toEqual({ isNew: false, stored: other });
    const full = { ...WHOLE, signatures: [`${"k".repeat(256 * 1024 - 89)}:${"A".repeat(86)}==`] };
    expect(await put(old, full)).toEqual({ isNew: false, stored: full });
  });
});
