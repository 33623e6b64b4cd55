import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryStore, MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestKey } from "../../src/castore/digest.ts";
import { RootToLeavesValidator } from "../../src/castore/directory-closure.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import type { DirectoryNode, Node } from "../../src/castore/node.ts";
import { connectGrpc, type GrpcConnection } from "../../src/node/grpc.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { readOnly } from "../../src/store/read-only.ts";
import type { LocalStoreServices, RemoteStore } from "../../src/store/services.ts";
import { engine, importFiles } from "../store/fixtures.ts";

/** Stock clients of snix's names check doubled sizes, so under these names our daemon shows such trees. */

const FILES = { "a/b/c": utf8("c"), "a/b/d": utf8("d"), "a/e": utf8("e") };

let store: LocalStoreServices;
let directories: MemoryDirectoryStore;
let server: RunningServer;
let connection: GrpcConnection;
let asSnix: RemoteStore;
let asTvix: RemoteStore;
let info: PathInfo;

beforeEach(async () => {
  directories = new MemoryDirectoryStore();
  store = { ...createMemoryStore(), directories: new StoredDirectoryService(directories) };
  info = await importFiles(store, "thing", FILES);
  const calculate = (node: Node) => calculateNar(store, engine, node);
  const routes = rpcRoutes(readOnly(store), { calculateNar: calculate, engine, derived: store.directories });
  server = await startServer({ host: "127.0.0.1", port: 0 }, { routes });
  connection = connectGrpc({ scheme: "grpc+http", url: server.address });
  asSnix = connectRemoteStore(connection.transport, { name: "snix", dialect: "snix" });
  asTvix = connectRemoteStore(connection.transport, { name: "tvix", dialect: "tvix" });
});
afterEach(async () => {
  await connection.close();
  await server.close();
});

const hashPart = (): string => info.storePath.slice(11, 43);

function directory(found: PathInfo | undefined): DirectoryNode {
  if (found?.node.kind !== "directory") throw new Error("it is no directory");
  return found.node;
}

test("a tree with documented sizes is shown with doubled ones under snix's names", async () => {
  expect(await asTvix.pathInfos.get(hashPart())).toEqual(info);
  const found = await asSnix.pathInfos.get(hashPart());
  expect({ ...found, node: undefined }).toEqual({ ...info, node: undefined });
  const node = directory(found);
  expect(node.size).toBe(2n * directory(info).size);
  const validator = new RootToLeavesValidator(node.digest, ["doubled"]);
  for await (const one of (await asSnix.directories.getClosure(node.digest)) ?? []) validator.add(one);
  validator.finish();
  expect(await calculateNar(asSnix, engine, node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
  for await (const listed of asSnix.pathInfos.list()) expect(listed).toEqual(found);
  // What is stored stays.
  expect(await store.pathInfos.get(hashPart())).toEqual(info);
});

test("a tree that has doubled sizes already is shown as it is", async () => {
  const doubled = await importFiles(store, "doubled", FILES, "doubled");
  expect(await asSnix.pathInfos.get(doubled.storePath.slice(11, 43))).toEqual(doubled);
});

test("a path that has lost a directory is shown as it is stored", async () => {
  const root = await store.directories.get(directory(info).digest);
  const child = root?.entries[0]?.node;
  if (child?.kind !== "directory") throw new Error("it has no directory");
  directories.directories.delete(digestKey(child.digest));
  expect(await asSnix.pathInfos.get(hashPart())).toEqual(info);
});
