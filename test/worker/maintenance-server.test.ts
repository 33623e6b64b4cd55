import { describe, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import type { RemoteUse } from "../../src/thread/sync-api.ts";
import { MaintenanceServer } from "../../src/worker/maintenance-server.ts";
import type { RemoteConnections } from "../../src/worker/remote-connections.ts";
import { type MemoryOperations, memoryOperations, silentPort } from "./memory-operations.ts";
import { CHUNK, damage, failure, has, hashPart, makePack, pathInfo, putPack, putPathInfos, symlink, text } from "./memory-store.ts";

const [A, B] = [text("a"), text("b")];
const INFO = pathInfo("a", A.node);
const USE: RemoteUse = { id: 1, address: { url: "http://remote", protocol: "connect", dialect: "auto", headers: [] } };

interface Served extends MemoryOperations {
  readonly server: MaintenanceServer;
  /** Uses of a remote, which has the content of `A`. */
  readonly uses: unknown[];
}

function serve(): Served {
  const world = memoryOperations();
  const uses: unknown[] = [];
  const remotes = {
    of: (use: RemoteUse) => {
      uses.push(use);
      return {
        use: async (_engine: unknown, options: object, work: (store: RemoteStore, options: object) => Promise<unknown>) => {
          const services = createMemoryStore();
          await services.blobs.putMany([A.bytes]);
          return work({ ...services, name: "remote", calculateNar: () => Promise.reject(new Error("not needed")) }, options);
        },
      };
    },
  } as unknown as RemoteConnections;
  return { ...world, uses, server: new MaintenanceServer(world.operations, remotes) };
}

test("a deletion notifies other tabs, unless there was nothing to delete", async () => {
  const world = serve();
  await putPathInfos(world, INFO);
  expect(await world.server.delete(pathInfo("b", symlink).storePath)).toBe(false);
  expect(world.told).toEqual([]);
  expect(await world.server.delete(INFO.storePath)).toBe(true);
  expect(world.told).toEqual(["delete"]);
  expect(world.database.rows("pathInfos")).toEqual([]);
  expect(await failure(world.server.delete("/nix/store/short"))).toBe("invalid");
});

test("a collection notifies other tabs, unless it failed", async () => {
  const world = serve();
  await putPack(world, [A, B]);
  await putPathInfos(world, INFO);
  expect(await world.server.collectGarbage(silentPort())).toMatchObject({ objects: 1, bytes: 1 });
  expect([has(world, A), has(world, B)]).toEqual([true, false]);
  expect(world.told).toEqual(["collect"]);
  await world.database.put("pathInfos", hashPart("b"), { ...pathInfo("b", A.node), node: undefined });
  expect(await failure(world.server.collectGarbage(silentPort()))).toBe("corrupt");
  expect(world.told).toHaveLength(1);
});

describe("verification", () => {
  test("holds the lock of collections, and tells nobody", async () => {
    const world = serve();
    await putPack(world, [A]);
    await putPathInfos(world, INFO);
    const reading = vi.spyOn(world.store, "readLocations").mockImplementation(async () => {
      expect(world.locks.held).toContainEqual({ name: "tvix-store-web:memory:garbage", mode: "exclusive" });
      return [A.bytes];
    });
    expect(await world.server.verify(undefined, silentPort())).toMatchObject({ objects: 1, corrupt: [], refetched: 0 });
    expect(reading).toHaveBeenCalled();
    expect([world.told, world.uses, world.locks.held]).toEqual([[], [], []]);
  });

  test("fetches damaged content again if there is a remote, and tells other tabs", async () => {
    const world = serve();
    await putPack(world, [A]);
    await putPathInfos(world, INFO);
    damage(world, CHUNK, A.digest);
    expect(await world.server.verify(undefined, silentPort())).toMatchObject({ storePaths: [INFO.storePath], refetched: 0 });
    expect(world.told).toEqual([]);
    expect(await world.server.verify(USE, silentPort())).toMatchObject({ storePaths: [INFO.storePath], refetched: 1 });
    expect([world.told, world.uses]).toEqual([["repair"], [USE]]);
    expect(await world.store.read(CHUNK, [A.digest])).toEqual([A.bytes]);
    // Nothing is damaged now, so the remote is not asked.
    expect(await world.server.verify(USE, silentPort())).toMatchObject({ corrupt: [], refetched: 0 });
    expect(world.told).toEqual(["repair"]);
  });
});

test("a repair notifies other tabs if it added packs", async () => {
  const world = serve();
  expect(await world.server.repair(silentPort())).toMatchObject({ packs: 0 });
  expect(world.told).toEqual([]);
  world.opfs.files.set("lost", (await makePack(world, [A], { by: "lost store", pathInfos: [INFO] })).bytes);
  expect(await world.server.repair(silentPort())).toMatchObject({ packs: 1, storePaths: [INFO.storePath] });
  expect(world.told).toEqual(["write"]);
  expect(has(world, A)).toBe(true);
});

test("pins are made, listed and removed", async () => {
  const { server, ...world } = serve();
  await putPathInfos(world, INFO);
  await server.pin("pin", INFO.storePath);
  expect(await server.pins()).toEqual([{ name: "pin", node: INFO.node }]);
  expect([await server.unpin("pin"), await server.unpin("pin")]).toEqual([true, false]);
  expect(await server.pins()).toEqual([]);
});

test("no call works on a closed store", async () => {
  const { server, operations } = serve();
  operations.opened = undefined;
  const calls = [
    server.delete(INFO.storePath),
    server.usage(),
    server.pin("pin", INFO.storePath),
    server.unpin("pin"),
    server.pins(),
  ];
  calls.push(
    server.collectGarbage(silentPort()) as never,
    server.verify(undefined, silentPort()) as never,
    server.repair(silentPort()) as never,
  );
  expect(await Promise.all(calls.map(failure))).toEqual(calls.map(() => "closed"));
});
