import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { encodeNixbase32 } from "../../src/nix/nixbase32.ts";
import { connectGrpc, type GrpcConnection } from "../../src/node/grpc.ts";
import type { RunningServer } from "../../src/node/server.ts";
import { importEntries } from "../../src/store/import.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import { copyBetweenStores } from "../../src/store/sync.ts";
import { runCli, startDaemon } from "../node/run-cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { engine, failure, importFiles } from "../store/fixtures.ts";
import { SNIX_TREES, treeEntries } from "./snix-vectors.ts";
import { EARLY_TVIX, LATE_TVIX, SNIX, StrictPeer } from "./strict-peer.ts";

const PEERS = { snix: SNIX, "tvix since 2024-08": LATE_TVIX, "tvix before": EARLY_TVIX };

const FILES = {
  "bin/tool": utf8("tool"),
  "share/doc/empty": utf8(""),
  "share/doc/README": utf8("read me"),
  large: new Uint8Array(3_000_000).map((_, i) => (i * i) >>> 5),
};

describe.each(Object.entries(PEERS))("a stock daemon: %s", (_, options) => {
  let peer: StrictPeer;
  let server: RunningServer;
  let connection: GrpcConnection;
  let remote: RemoteStore;

  beforeEach(async () => {
    peer = new StrictPeer(options);
    server = await peer.listen();
    connection = connectGrpc({ scheme: "grpc+http", url: server.address });
    remote = connectRemoteStore(connection.transport, { name: server.address });
  });
  afterEach(async () => {
    await connection.close();
    await server.close();
  });

  test("is asked for its size rule once", async () => {
    const expected = options.entryWeight === 2 ? ["doubled"] : ["documented"];
    expect(await Promise.all([remote.directories.sizeRules(), remote.directories.sizeRules()])).toEqual([expected, expected]);
    const { directories } = peer.writes;
    // The names of snix's services reveal its rule. tvix's names don't, so up to two tiny trees are
    // sent to find it out.
    expect(directories).toBe(options.names === "snix" ? 0 : 1);
    expect(await remote.directories.sizeRules()).toEqual(expected);
    expect(peer.writes.directories).toBe(directories);
  });

  test("gets what is pushed, and then nothing more", async () => {
    const store = createMemoryStore();
    const info = await importFiles(store, "pushed", FILES);
    await copyBetweenStores(store, remote, [info.storePath], { engine, verify: false });
    expect(peer.pathInfos.size).toBe(1);
    // The peer calculates the NAR itself.
    const there = await remote.pathInfos.get(info.storePath.slice(11, 43));
    if (!there) throw new Error("it is not there");
    expect(await remote.calculateNar(there.node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
    const writes = { ...peer.writes };
    expect(await copyBetweenStores(store, remote, [info.storePath], { engine, verify: false })).toMatchObject({
      objects: 0,
      reused: 1,
    });
    // Another path has the same content.
    const same = await importFiles(store, "same", FILES);
    expect(await copyBetweenStores(store, remote, [same.storePath], { engine, verify: false })).toMatchObject({
      objects: 0,
      paths: 1,
    });
    expect(peer.writes).toEqual({ ...writes, pathInfos: 2 });
  });

  test("is pulled from with the digests that it has, so that a push back moves nothing", async () => {
    const info = await importFiles(remote, "pulled", FILES);
    const store = createMemoryStore();
    expect(await copyBetweenStores(remote, store, [info.storePath], { engine, reuseChunks: true })).toMatchObject({ paths: 1 });
    expect(await store.pathInfos.get(info.storePath.slice(11, 43))).toEqual(info);
    peer.pathInfos.clear();
    const writes = { ...peer.writes };
    expect(await copyBetweenStores(store, remote, [info.storePath], { engine, verify: false })).toMatchObject({
      paths: 1,
      objects: 0,
    });
    expect(peer.writes).toEqual({ ...writes, pathInfos: writes.pathInfos + 1 });
  });

  test.each(SNIX_TREES)("gets the tree $name by import, and renders it", async (tree) => {
    const info = await importEntries(remote, engine, (uploader) => treeEntries(tree, uploader), { name: tree.name });
    expect(info.storePath).toBe(tree.storePath);
    expect(await remote.calculateNar(info.node)).toEqual({ narSize: tree.narSize, narHash: `sha256-${tree.narSha256}` });
    expect(await calculateNar(remote, engine, info.node)).toEqual({ narSize: tree.narSize, narHash: `sha256-${tree.narSha256}` });
  });

  test("answers for what is missing", async () => {
    const missing = digestOf(utf8("missing"));
    expect(await remote.blobs.stat([missing, EMPTY_DIGEST])).toEqual([undefined, { chunks: [] }]);
    expect(await remote.blobs.open(missing)).toBeUndefined();
    expect(await remote.directories.get(missing)).toBeUndefined();
    expect(await remote.directories.getClosure(missing)).toBeUndefined();
    expect(await remote.pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la")).toBeUndefined();
    const calculating = remote.calculateNar({ kind: "directory", digest: missing, size: 1n });
    expect(await failure(calculating)).toMatchObject({ code: "corrupt" });
  });

  test("has the empty blob once a file with it was written", async () => {
    expect(peer.blobs.size).toBe(0);
    await remote.blobs.putMany([utf8(""), utf8("x"), utf8("")]);
    expect(peer.writes.blobs).toBe(2);
    const writer = await remote.blobs.create();
    expect(await writer.close()).toEqual({ digest: EMPTY_DIGEST, size: 0 });
    expect(await remote.blobs.readMany([EMPTY_DIGEST])).toEqual([utf8("")]);
  });

  test("that lost what a directory leads to gets it again", async () => {
    const store = createMemoryStore();
    const info = await importFiles(store, "lost", FILES);
    const calculateThere = remote.calculateNar;
    await copyBetweenStores(store, remote, [info.storePath], { engine, calculateNar: calculateThere });
    peer.pathInfos.clear();
    peer.blobs.clear();
    await copyBetweenStores(store, remote, [info.storePath], { engine, calculateNar: calculateThere });
    expect(peer.pathInfos.size).toBe(1);
  });

  test("is served by our daemon in front of it, which tells its size rule", async () => {
    const address = `grpc+${server.address}`;
    const flags = serviceFlags(address);
    const daemon = await startDaemon(["-l", "127.0.0.1:0", ...flags]);
    const gateway = connectGrpc({ scheme: "grpc+http", url: daemon.address });
    try {
      const through = connectRemoteStore(gateway.transport, { name: daemon.address });
      expect(await through.directories.sizeRules()).toEqual(options.entryWeight === 2 ? ["doubled"] : ["documented"]);
      const store = createMemoryStore();
      const info = await importFiles(store, "gateway", FILES);
      await copyBetweenStores(store, through, [info.storePath], { engine, verify: false });
      const back = createMemoryStore();
      await copyBetweenStores(through, back, [info.storePath], { engine });
      expect((await back.pathInfos.get(info.storePath.slice(11, 43)))?.narHash).toBe(info.narHash);
      // Nix uploads a NAR like this.
      const run = await runCli(["export", ...flags, info.storePath]);
      expect(run).toMatchObject({ status: 0, stderr: "" });
      const name = encodeNixbase32(createHash("sha256").update(run.stdout).digest());
      const put = await fetch(`${daemon.address}/nar/${name}.nar`, { method: "PUT", body: new Uint8Array(run.stdout) });
      expect(put.status).toBe(201);
      const got = await fetch(`${daemon.address}/nar/${name}.nar`);
      expect(run.stdout.equals(new Uint8Array(await got.arrayBuffer()))).toBe(true);
    } finally {
      await gateway.close();
      await daemon.stop();
    }
  });
});
