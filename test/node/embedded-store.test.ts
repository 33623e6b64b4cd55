import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { CacheUploads } from "../../src/node/binary-cache/uploads.ts";
import { defaultDataDir, openEmbeddedStore } from "../../src/node/embedded-store.ts";
import { LmdbEnvironment } from "../../src/node/lmdb.ts";
import type { PathInfo } from "../../src/store/path-info.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-embedded-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/**
 * Copies the data directory as a crash at this moment would leave it, with the record of its owner
 * removed.
 */
async function crashNow(): Promise<string> {
  const copy = join(dir, `crashed-${crashes++}`);
  const names = (await readdir(dir)).filter((name) => !name.startsWith("crashed-"));
  for (const name of names) await cp(join(dir, name), join(copy, name), { recursive: true });
  const environment = await LmdbEnvironment.open(join(copy, "store.lmdb"));
  await environment.database("owner").remove(Buffer.from("owner"));
  await environment.close();
  return copy;
}
let crashes = 0;

const bytes = (text: string) => new TextEncoder().encode(text);
const content = bytes("content");
const file = { kind: "file", digest: digestOf(content), size: 7n, executable: false } as const;
const leaf = makeDirectory([{ name: bytes("file"), node: file }]);
const root = makeDirectory([{ name: bytes("leaf"), node: directoryNode(leaf, "documented") }]);

function infoOf(hashPart: string, more: Partial<PathInfo> = {}): PathInfo {
  return {
    storePath: `/nix/store/${hashPart}-name`,
    node: directoryNode(root, "documented"),
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 1,
    references: [],
    signatures: [],
    ...more,
  };
}
const hashPart = (digit: string) => digit.repeat(32);

test("keeps blobs, directories and path infos over a restart", async () => {
  const info = infoOf(hashPart("a"), {
    references: [`${hashPart("a")}-name`, `${hashPart("b")}-other`],
    deriver: `${hashPart("c")}-name.drv`,
    ca: "fixed:r:sha256:1b0ri5lsf45dknj8bfxi1syz35kmms76fkzpzhn2zi3lb7nyxmzy",
    signatures: [`key-1:${btoa("s".repeat(64))}`],
  });
  const store = await openEmbeddedStore(dir);
  await store.blobs.putMany([content]);
  await store.directories.put([leaf, root]);
  await store.pathInfos.put(info);
  // A crash must not lose what was published.
  const crashed = await crashNow();
  await store.close();

  for (const left of [dir, crashed]) {
    const again = await openEmbeddedStore(left);
    expect(await again.pathInfos.get(hashPart("a"))).toEqual(info);
    expect(await again.directories.get(directoryDigest(root))).toEqual(root);
    expect(await again.blobs.readMany([file.digest])).toEqual([content]);
    await again.close();
    // Other programs read chunks as files.
    expect(await readdir(join(left, "chunks", "b3"))).toHaveLength(1);
  }
});

test("writes files to the disk before the directory that refers to them", async () => {
  const store = await openEmbeddedStore(dir);
  const left = async () => {
    const again = await openEmbeddedStore(await crashNow());
    const [found] = await again.blobs.readMany([file.digest]);
    await again.close();
    return found;
  };
  await store.blobs.putMany([content]);
  expect(await left()).toBeUndefined();
  await store.directories.put([leaf]);
  expect(await left()).toEqual(content);
  await store.close();
});

test("writes the blobs of an upload to the disk together with its record", async () => {
  const store = await openEmbeddedStore(dir);
  const uploads = new CacheUploads(store.uploadRecords);
  const nar = { node: file, narHash: infoOf(hashPart("a")).narHash, narSize: 1, compression: "none" } as const;
  await store.blobs.putMany([content]);
  await uploads.putNar("x.nar", nar);
  const again = await openEmbeddedStore(await crashNow());
  expect(await new CacheUploads(again.uploadRecords).nar("x.nar")).toEqual(nar);
  expect(await again.blobs.readMany([file.digest])).toEqual([content]);
  await again.close();
  await store.close();
});

test("lists path infos by hash part, in more than one batch, and forgets deleted ones", async () => {
  const store = await openEmbeddedStore(dir);
  const digits = "0123456789abcdfghijklmnpqrsvwxyz";
  const parts = Array.from({ length: 300 }, (_, i) => `${digits[i % 32]}${digits[i >> 5]}${"0".repeat(30)}`);
  await Promise.all(parts.map((part) => store.pathInfos.put(infoOf(part))));
  const listed: string[] = [];
  for await (const { storePath } of store.pathInfos.list()) listed.push(storePath.slice(11, 43));
  expect(listed).toEqual([...parts].sort());
  expect(await store.pathInfos.delete(parts[7] as string)).toBe(true);
  expect(await store.pathInfos.delete(parts[7] as string)).toBe(false);
  expect(await store.pathInfos.get(parts[7] as string)).toBeUndefined();
  await store.close();
});

test("reports damaged directories and path infos as corrupt", async () => {
  const environment = await LmdbEnvironment.open(join(dir, "store.lmdb"));
  await environment.directories.putMany([{ digest: directoryDigest(root), bytes: encodeDirectory(leaf) }]);
  const paths = environment.database("path-infos");
  await environment.pathInfos.put(infoOf(hashPart("a")));
  const stored = paths.getBinary(Buffer.from(hashPart("a"))) as Buffer;
  await paths.put(Buffer.from(hashPart("b")), stored);
  await paths.put(Buffer.from(hashPart("d")), stored.subarray(0, -3));
  await environment.close();
  const store = await openEmbeddedStore(dir);
  await expect(store.directories.get(directoryDigest(root))).rejects.toMatchObject({ code: "corrupt" });
  await expect(store.pathInfos.get(hashPart("b"))).rejects.toMatchObject({ code: "corrupt" });
  await expect(store.pathInfos.get(hashPart("d"))).rejects.toMatchObject({ code: "corrupt" });
  await store.close();
});

test("refuses a directory that is open elsewhere, until it is closed there", async () => {
  const store = await openEmbeddedStore(dir);
  await expect(openEmbeddedStore(dir)).rejects.toMatchObject({ code: "conflict" });
  await store.blobs.putMany([content]);
  await store.close();
  await (await openEmbeddedStore(dir)).close();
});

test("takes over from a process that ended without closing the store", async () => {
  const environment = await LmdbEnvironment.open(join(dir, "store.lmdb"));
  const ended = (await promisify(execFile)(process.execPath, ["-p", "process.pid"])).stdout.trim();
  const owners = environment.database("owner");
  await owners.put(Buffer.from("owner"), Buffer.from(JSON.stringify({ pid: Number(ended), started: "" })));
  await environment.flush();
  await (await openEmbeddedStore(dir)).close();
  // Another process has the same number now, but it started at a different time.
  await owners.put(Buffer.from("owner"), Buffer.from(JSON.stringify({ pid: process.pid, started: "another boot 1" })));
  await environment.flush();
  await (await openEmbeddedStore(dir)).close();
  await environment.close();
});

test("has a default location by the XDG rules", () => {
  expect(defaultDataDir({ XDG_DATA_HOME: "/data", HOME: "/home/u" })).toBe("/data/tvix-store-web");
  expect(defaultDataDir({ XDG_DATA_HOME: "relative", HOME: "/home/u" })).toBe("/home/u/.local/share/tvix-store-web");
});

test("keeps the other files of clients, such as realisations, over a restart", async () => {
  const store = await openEmbeddedStore(dir);
  await new CacheUploads(store.uploadRecords).updateText("realisations/x.doi", () => "first");
  await new CacheUploads(store.uploadRecords).updateText("realisations/x.doi", (earlier) => `${earlier}, second`);
  await expect(
    new CacheUploads(store.uploadRecords).updateText("realisations/x.doi", () => {
      throw new Error("refused");
    }),
  ).rejects.toThrow("refused");
  await store.close();
  const again = await openEmbeddedStore(dir);
  expect(await new CacheUploads(again.uploadRecords).text("realisations/x.doi")).toBe("first, second");
  expect(await new CacheUploads(again.uploadRecords).text("realisations/y.doi")).toBeUndefined();
  await again.close();
});
