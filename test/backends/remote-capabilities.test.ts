import { createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { afterEach, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { utf8 } from "../../src/bytes.ts";
import type { DirectoryService } from "../../src/castore/directory-service.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { calculateNar } from "../../src/store/nar.ts";
import { readOnly } from "../../src/store/read-only.ts";
import type { StoreServices } from "../../src/store/services.ts";
import { copyBetweenStores } from "../../src/store/sync.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { CapabilityService, DirectorySizeRule } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";
import { engine, failure, importFiles, withSizeRule } from "../store/fixtures.ts";

afterEach(() => {
  vi.useRealTimers();
});

function daemon(store: StoreServices): Transport {
  return createRouterTransport((router) =>
    rpcRoutes(store, { engine, calculateNar: (node) => calculateNar(store, engine, node) })(router, new AbortController().signal),
  );
}

/** A store whose size rules are found by a trial write, as those of a stock daemon. */
function probedByWriting(): { store: StoreServices; probes: () => number } {
  const store = createMemoryStore();
  let probes = 0;
  const { directories } = store;
  const probing: DirectoryService = {
    get: (digest, options) => directories.get(digest, options),
    getClosure: (digest, options) => directories.getClosure(digest, options),
    put: (closure, options) => directories.put(closure, options),
    sizeRules: async () => {
      probes++;
      return directories.sizeRules();
    },
  };
  return { store: { ...store, directories: probing }, probes: () => probes };
}

test("a writable daemon reports the size rules of its store", async () => {
  const told = await createClient(CapabilityService, daemon(withSizeRule(createMemoryStore(), "doubled"))).get({});
  expect(told).toMatchObject({ directorySizeRules: [DirectorySizeRule.DOUBLED], mergesPathInfos: true });
});

test("a read-only daemon reports no size rules, and makes no trial write", async () => {
  const { store, probes } = probedByWriting();
  const told = await createClient(CapabilityService, daemon(readOnly(store))).get({});
  expect(told).toMatchObject({ directorySizeRules: [], mergesPathInfos: false });
  expect(probes()).toBe(0);
});

test("a client can read from a read-only daemon, and a copy to it is denied before anything is sent", async () => {
  const store = createMemoryStore();
  const info = await importFiles(store, "thing", { "a/b": utf8("b") });
  const remote = connectRemoteStore(daemon(readOnly(store)), { name: "remote" });
  expect(await copyBetweenStores(remote, createMemoryStore(), [info.storePath], { engine })).toMatchObject({ paths: 1 });
  const other = createMemoryStore();
  const { storePath } = await importFiles(other, "other", { "c/d": utf8("d") });
  expect(await failure(copyBetweenStores(other, remote, [storePath], { engine }))).toMatchObject({ code: "denied" });
  expect(await failure(remote.directories.sizeRules())).toMatchObject({ code: "denied" });
});

const never = (): Promise<never> => new Promise(() => {});

/** A daemon that leaves calls to one service unanswered until `wake`. */
function mute(service: typeof CapabilityService | typeof BlobService): { transport: Transport; wake(): void } {
  let awake = false;
  const store = createMemoryStore();
  const transport = createRouterTransport((router) => {
    rpcRoutes(store, { engine, calculateNar: (node) => calculateNar(store, engine, node) })(router, new AbortController().signal);
    if (service === BlobService) router.rpc(BlobService.method.stat, async () => (awake ? {} : never()));
    else
      router.rpc(CapabilityService.method.get, async () => (awake ? { directorySizeRules: [DirectorySizeRule.DOUBLED] } : never()));
  });
  return {
    transport,
    wake: () => {
      awake = true;
    },
  };
}

test.each([
  ["which capabilities it has", CapabilityService],
  ["which names its services have", BlobService],
])("a peer that never answers %s causes a timeout, and is asked again", async (_, service) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { transport, wake } = mute(service);
  const remote = connectRemoteStore(transport, { name: "remote" });
  const first = failure(remote.directories.sizeRules());
  const second = failure(remote.directories.sizeRules());
  await vi.advanceTimersByTimeAsync(30_000);
  for (const asked of [first, second]) expect(await asked).toMatchObject({ name: "StoreError", code: "unavailable" });
  wake();
  expect((await remote.directories.sizeRules()).length).toBeGreaterThan(0);
  expect(vi.getTimerCount()).toBe(0);
});
