import { describe, expect, test } from "vitest";
import { createMemoryStore, MemoryChunkStore, MemoryDirectoryStore, MemoryPathInfoService } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { PathInfo } from "../../src/store/path-info.ts";

const [one, two] = [digestOf(utf8("one")), digestOf(utf8("two"))];

describe("chunks and blobs in memory", () => {
  test("are in the order of the request, with gaps for missing ones", async () => {
    const store = new MemoryChunkStore();
    const entry = { chunks: [{ digest: one, size: 3 }], bao: Uint8Array.of(1) };
    await store.put([{ digest: one, bytes: utf8("one") }], [{ digest: two, ...entry }]);
    expect(await store.hasChunks([two, one])).toEqual([false, true]);
    expect(await store.getChunks([two, one])).toEqual([undefined, utf8("one")]);
    expect(await store.getBlobs([one, two])).toEqual([undefined, entry]);
  });

  test("share no memory with callers", async () => {
    const store = new MemoryChunkStore();
    const bytes = utf8("one");
    const bao = Uint8Array.of(1);
    const chunks = [{ digest: one, size: 3 }];
    await store.put([{ digest: one, bytes }], [{ digest: two, chunks, bao }]);
    bytes.fill(0);
    bao.fill(0);
    chunks.pop();
    const [read] = await store.getChunks([one]);
    expect(read).toEqual(utf8("one"));
    read?.fill(0);
    expect(await store.getChunks([one])).toEqual([utf8("one")]);
    expect(await store.getBlobs([two])).toEqual([{ chunks: [{ digest: one, size: 3 }], bao: Uint8Array.of(1) }]);
  });
});

test("directories in memory are in the order of the request, with gaps for missing ones", async () => {
  const store = new MemoryDirectoryStore();
  await store.putMany([{ digest: one, bytes: utf8("1") }]);
  expect(await store.getMany([two, one])).toEqual([undefined, utf8("1")]);
});

describe("path infos in memory", () => {
  const info = (hashPart: string): PathInfo => ({
    storePath: `/nix/store/${hashPart}-thing`,
    node: { kind: "symlink", target: utf8("t") },
    narHash: "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    narSize: 120,
    references: [],
    signatures: [],
  });
  const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(32)) as [string, string, string];

  test("are listed in the order of their hash parts, without those that are deleted meanwhile", async () => {
    const store = new MemoryPathInfoService();
    for (const hashPart of [C, A, B]) await store.put(info(hashPart));
    const listed: string[] = [];
    for await (const { storePath } of store.list()) {
      listed.push(storePath.slice(11, 43));
      if (listed.length === 1) expect([await store.delete(B), await store.delete(B)]).toEqual([true, false]);
    }
    expect(listed).toEqual([A, C]);
    expect(await store.get(B)).toBeUndefined();
  });

  test("are checked, and merged with earlier ones", async () => {
    const store = new MemoryPathInfoService();
    const signatures = [1, 2].map((byte) => `key-${byte}:${Buffer.alloc(64, byte).toString("base64")}`);
    for (const signature of signatures) await store.put({ ...info(A), signatures: [signature] });
    expect([...((await store.get(A))?.signatures ?? [])].sort()).toEqual(signatures);
    await expect(store.put({ ...info(A), narHash: `sha256-${Buffer.alloc(32).toString("base64")}` })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(store.put({ ...info(A), narSize: -1 })).rejects.toMatchObject({ code: "invalid" });
  });
});

test("each store in memory is on its own", async () => {
  const [a, b] = [createMemoryStore(), createMemoryStore()];
  const [digest] = await a.blobs.putMany([utf8("x")]);
  if (!digest) throw new Error("there is no digest");
  expect([(await a.blobs.stat([digest]))[0] !== undefined, (await b.blobs.stat([digest]))[0]]).toEqual([true, undefined]);
});
