import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryStore, MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestKey, digestOf } from "../../src/castore/digest.ts";
import { RootToLeavesValidator } from "../../src/castore/directory-closure.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import type { DirectoryNode, Node } from "../../src/castore/node.ts";
import { StoreError } from "../../src/error.ts";
import { connectGrpc, type GrpcConnection } from "../../src/node/grpc.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { DerivedDirectories, type DerivedDirectoriesOptions } from "../../src/store/derived-directories.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { readOnly } from "../../src/store/read-only.ts";
import type { LocalStoreServices, RemoteStore, StoreServices } from "../../src/store/services.ts";
import { TreesByRule } from "../../src/store/trees-by-rule.ts";
import { resolvers } from "../setup/resolvers.ts";
import { engine, importFiles } from "./fixtures.ts";

/**
 * Stock snix clients accept doubled sizes only. Under snix's names our daemon therefore shows trees
 * with doubled sizes.
 */

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
  await serve(readOnly(store), { inMemory: true });
});
afterEach(stop);

async function serve(stored: StoreServices, options: DerivedDirectoriesOptions = {}): Promise<void> {
  const derived = new DerivedDirectories(stored.directories, options);
  const shown = { ...stored, directories: derived };
  const calculate = (node: Node) => calculateNar(shown, engine, node);
  const routes = rpcRoutes(shown, { calculateNar: calculate, engine, derived });
  server = await startServer({ host: "127.0.0.1", port: 0 }, { routes });
  connection = connectGrpc({ scheme: "grpc+http", url: server.address });
  asSnix = connectRemoteStore(connection.transport, { name: "snix", dialect: "snix" });
  asTvix = connectRemoteStore(connection.transport, { name: "tvix", dialect: "tvix" });
}

async function stop(): Promise<void> {
  await connection.close();
  await server.close();
}

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
  // The stored path info does not change.
  expect(await store.pathInfos.get(hashPart())).toEqual(info);
});

test("a read-only daemon shows doubled sizes without writing", async () => {
  const before = new Map(directories.directories);
  const { node } = (await asSnix.pathInfos.get(hashPart())) as PathInfo;
  expect(node).not.toEqual(info.node);
  // The daemon reads the tree as a whole, one directory at a time, and for a NAR.
  expect(await asSnix.calculateNar(node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
  for await (const one of (await asSnix.directories.getClosure(directory(info).digest)) ?? []) expect(one).toBeDefined();
  expect(directories.directories).toEqual(before);
});

test("a writable daemon keeps the tree with doubled sizes in the store", async () => {
  await stop();
  await serve(store);
  const { digest } = directory(await asSnix.pathInfos.get(hashPart()));
  expect(await store.directories.get(digest)).toBeDefined();
});

test.each([
  ["refuses", new StoreError("denied", "no")],
  ["has no room for", new StoreError("quota", "full")],
  ["fails to keep", new Error("the disk is broken")],
])("a store that %s the new tree still answers under snix's names", async (_, error) => {
  await stop();
  await serve(withPut(store, () => Promise.reject(error)));
  expect(await asSnix.pathInfos.get(hashPart())).toEqual(info);
  const listed: PathInfo[] = [];
  for await (const one of asSnix.pathInfos.list()) listed.push(one);
  expect(listed).toEqual([info]);
});

test("only a few trees are encoded anew at the same time", async () => {
  const infos: PathInfo[] = [];
  for (let i = 0; i < 30; i++) infos.push(await importFiles(store, `tree-${i}`, { [`${i}/b/c`]: utf8("c") }));
  let running = 0;
  let most = 0;
  const slow = withPut(store, async (closure) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    return store.directories.put(closure);
  });
  const trees = new TreesByRule(slow, new DerivedDirectories(slow.directories), "doubled");
  const nodes = await Promise.all(infos.map(({ node }) => trees.node(node)));
  for (const [i, node] of nodes.entries()) expect(node).not.toEqual(infos[i]?.node);
  expect(most).toBeLessThanOrEqual(4);
});

test("in memory, the least recently used tree is evicted as a whole, and made again when it is requested", async () => {
  const derived = new DerivedDirectories(readOnly(store).directories, { inMemory: true, limit: 1500 });
  const trees = new TreesByRule(store, derived, "doubled");
  const [first, second, third] = await Promise.all(
    ["1", "2", "3"].map((name) => importFiles(store, name, { [`${name}/b/c`]: utf8("c") })),
  );
  if (!first || !second || !third) throw new Error("there are three");
  const closure = async (node: DirectoryNode): Promise<number> => {
    let count = 0;
    for await (const _ of (await derived.getClosure(node.digest)) ?? []) count++;
    return count;
  };
  const shown = [];
  for (const one of [first, second, third]) shown.push((await trees.node(one.node)) as DirectoryNode);
  const [a, b, c] = shown as [DirectoryNode, DirectoryNode, DirectoryNode];
  expect([await closure(a), await closure(b), await closure(c)]).toEqual([0, 3, 3]);
  expect(await trees.node(first.node)).toEqual(a);
  expect([await closure(a), await closure(b), await closure(c)]).toEqual([3, 0, 3]);
});

test("in memory, a tree that is too large is shown as stored", async () => {
  const derived = new DerivedDirectories(readOnly(store).directories, { inMemory: true, limit: 500 });
  expect(await new TreesByRule(store, derived, "doubled").node(info.node)).toEqual(info.node);
});

/** The same store with a different `DirectoryService.put`. */
function withPut(base: StoreServices, put: StoreServices["directories"]["put"]): StoreServices {
  const { directories } = base;
  return {
    ...base,
    directories: {
      get: (digest, options) => directories.get(digest, options),
      getClosure: (digest, options) => directories.getClosure(digest, options),
      sizeRules: (options) => directories.sizeRules(options),
      put,
    },
  };
}

test("a tree with doubled sizes is shown as stored", async () => {
  const doubled = await importFiles(store, "doubled", FILES, "doubled");
  expect(await asSnix.pathInfos.get(doubled.storePath.slice(11, 43))).toEqual(doubled);
});

test("a path that lacks a directory is shown as stored", async () => {
  const root = await store.directories.get(directory(info).digest);
  const child = root?.entries[0]?.node;
  if (child?.kind !== "directory") throw new Error("it has no directory");
  directories.directories.delete(digestKey(child.digest));
  expect(await asSnix.pathInfos.get(hashPart())).toEqual(info);
});

/** Counts trees that are encoded anew. */
function counting(base: LocalStoreServices) {
  let kept = 0;
  const put: StoreServices["directories"]["put"] = async (closure) => {
    kept++;
    return base.directories.put(closure);
  };
  const shown = withPut(base, put);
  return { trees: new TreesByRule(shown, new DerivedDirectories(shown.directories), "doubled"), kept: () => kept };
}

test("a tree is encoded once, for callers at the same time and for later ones", async () => {
  const { trees, kept } = counting(store);
  const [one, other] = await Promise.all([trees.node(info.node), trees.node(info.node)]);
  expect(one).toEqual(other);
  expect(one).not.toEqual(info.node);
  expect(await trees.node(info.node)).toEqual(one);
  expect(kept()).toBe(1);
});

test("a tree that was garbage-collected meanwhile is encoded again", async () => {
  const { trees, kept } = counting(store);
  const shown = (await trees.node(info.node)) as DirectoryNode;
  directories.directories.delete(digestKey(shown.digest));
  expect(await trees.node(info.node)).toEqual(shown);
  expect(await store.directories.get(shown.digest)).toBeDefined();
  expect(kept()).toBe(2);
});

test("a tree that could not be kept is encoded again for the next caller", async () => {
  let failures = 1;
  const flaky = withPut(store, async (closure) => {
    if (failures-- > 0) throw new StoreError("quota", "full");
    return store.directories.put(closure);
  });
  const trees = new TreesByRule(flaky, new DerivedDirectories(flaky.directories), "doubled");
  expect(await trees.node(info.node)).toEqual(info.node);
  expect(await trees.node(info.node)).not.toEqual(info.node);
});

test("a file, a tree that isn't there, and a tree of the rule are shown as stored", async () => {
  const { trees, kept } = counting(store);
  const doubled = await importFiles(store, "doubled", FILES, "doubled");
  const file: Node = { kind: "file", digest: directory(info).digest, size: 1n, executable: false };
  const missing: Node = { kind: "directory", digest: digestOf(utf8("missing")), size: 3n };
  for (const node of [file, missing, doubled.node]) expect(await trees.node(node)).toBe(node);
  expect(kept()).toBe(0);
});

test("an abort ends the wait of one caller, not that of others", async () => {
  const begun = resolvers<void>();
  const slow = withPut(store, async (closure) => {
    await begun.promise;
    return store.directories.put(closure);
  });
  const trees = new TreesByRule(slow, new DerivedDirectories(slow.directories), "doubled");
  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = trees.node(info.node, { signal: controller.signal });
  const other = trees.node(info.node);
  controller.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  begun.resolve();
  expect(await other).not.toEqual(info.node);
});

test("an error that is no StoreError is passed on", async () => {
  const broken = new TypeError("broken");
  const failing = withPut(store, (closure) => store.directories.put(closure));
  failing.directories.get = () => Promise.reject(broken);
  const trees = new TreesByRule(failing, new DerivedDirectories(failing.directories), "doubled");
  await expect(trees.node(info.node)).rejects.toBe(broken);
});
