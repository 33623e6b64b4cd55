import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { ANYONE, Caller } from "../../src/node/permissions.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { startServer } from "../../src/node/server.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { PathInfoService } from "../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { CapabilityService } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";

test("a caller has the permissions that it was given, and an error says why it lacks the others", () => {
  const reader = new Caller(["read"], "this store is read-only");
  expect([reader.may("read"), reader.may("write"), ANYONE.may("write")]).toEqual([true, false, true]);
  reader.require("read");
  expect(() => reader.require("write")).toThrow(
    expect.objectContaining({ name: "StoreError", code: "denied", message: "this store is read-only" }),
  );
});

test("a call that the caller may not make is refused before anything is read or calculated for it", async () => {
  let caller = new Caller(["read"], "read only");
  let calculated = 0;
  const calculateNar = async (): Promise<never> => {
    calculated++;
    throw new Error("not expected");
  };
  const server = await startServer(
    { host: "127.0.0.1", port: 0 },
    { routes: rpcRoutes(createMemoryStore(), { calculateNar }), authorize: () => caller },
  );
  const transport = createGrpcTransport({ baseUrl: server.address });
  const [blobs, pathInfos] = [createClient(BlobService, transport), createClient(PathInfoService, transport)];
  const denied = { code: Code.PermissionDenied, rawMessage: "read only" };
  // This upload never ends.
  const endless = async function* () {
    yield { data: new Uint8Array(1) };
    await new Promise(() => {});
  };
  await expect(blobs.put(endless())).rejects.toMatchObject(denied);
  const empty = async function* () {};
  await expect(blobs.put(empty())).rejects.toMatchObject(denied);
  await expect(pathInfos.put({})).rejects.toMatchObject(denied);
  expect(calculated).toBe(0);
  await expect(blobs.stat({ digest: new Uint8Array(32) })).rejects.toMatchObject({ code: Code.NotFound });
  expect((await createClient(CapabilityService, transport).get({})).directorySizeRules).toEqual([]);

  caller = new Caller([], "nothing");
  await expect(blobs.stat({ digest: new Uint8Array(32) })).rejects.toMatchObject({ code: Code.PermissionDenied });
  await server.close();
});
