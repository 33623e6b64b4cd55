import { cp, mkdtemp, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { digestOf } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { StoreError } from "../../src/error.ts";
import { CacheUploads } from "../../src/node/binary-cache/uploads.ts";
import { lockDataDir } from "../../src/node/data-dir-lock.ts";
import { defaultDataDir, type EmbeddedStore, openEmbeddedStore } from "../../src/node/embedded-store.ts";
import { LmdbEnvironment } from "../../src/node/lmdb.ts";
import { ObjectJournal } from "../../src/node/objects/object-journal.ts";
import { objectKey } from "../../src/node/objects/object-layout.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-embedded-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true, force: true });
});

/** Copies the data directory as a crash at this moment would leave it. */
async function crashNow(): Promise<string> {
  const copy = join(dir, `crashed-${crashes++}`);
  const names = (await readdir(dir)).filter((name) => !name.startsWith("crashed-"));
  for (const name of names) await cp(join(dir, name), join(copy, name), { recursive: true });
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

test("reports damaged directories as corrupt", async () => {
  const environment = await LmdbEnvironment.open(join(dir, "store.lmdb"));
  await environment.directories.putMany([{ digest: directoryDigest(root), bytes: encodeDirectory(leaf) }]);
  await environment.close();
  const store = await openEmbeddedStore(dir);
  await expect(store.directories.get(directoryDigest(root))).rejects.toMatchObject({ code: "corrupt" });
  await store.close();
});

test("repairs damaged files and directories when their content is put again", async () => {
  const put = async (store: EmbeddedStore): Promise<void> => {
    await store.blobs.putMany([content]);
    await store.directories.put([leaf, root]);
    await store.flush();
  };
  const before = await openEmbeddedStore(dir);
  await put(before);
  await before.close();

  const chunk = join(dir, objectKey("chunks", file.digest));
  await truncate(chunk, 3);
  const environment = await LmdbEnvironment.open(join(dir, "store.lmdb"));
  await environment.directories.putMany([{ digest: directoryDigest(leaf), bytes: encodeDirectory(root) }]);
  await environment.close();

  const after = await openEmbeddedStore(dir);
  await expect(after.blobs.readMany([file.digest])).rejects.toMatchObject({ code: "corrupt" });
  await put(after);
  expect(await after.blobs.readMany([file.digest])).toEqual([content]);
  expect(await after.directories.get(directoryDigest(leaf))).toEqual(leaf);
  await after.close();
});

describe("a data directory that can't be opened", () => {
  test("is released if its files can't be written", async () => {
    // This file is in the place of the directory for files that are being written.
    await writeFile(join(dir, "tmp"), "");
    await expect(openEmbeddedStore(dir)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
    expect(await isFree(dir)).toBe(true);
    await rm(join(dir, "tmp"));
    await (await openEmbeddedStore(dir)).close();
  });

  test("is released if its database can't be read", async () => {
    const unreadable = vi.spyOn(LmdbEnvironment.prototype, "records").mockImplementation(() => {
      throw new StoreError("unavailable", "the database can't be read");
    });
    await expect(openEmbeddedStore(dir)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    unreadable.mockRestore();
    if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
    expect(await isFree(dir)).toBe(true);
  });

  test("keeps its owner if it is open elsewhere", async () => {
    const store = await openEmbeddedStore(dir);
    for (let i = 0; i < 2; i++) await expect(openEmbeddedStore(dir)).rejects.toMatchObject({ code: "conflict" });
    expect(await isFree(dir)).toBe(false);
    await store.close();
    expect(await isFree(dir)).toBe(true);
  });
});

test("a store whose last content can't be written is closed nevertheless", async () => {
  const store = await openEmbeddedStore(dir);
  await store.blobs.putMany([content]);
  vi.spyOn(ObjectJournal.prototype, "add").mockRejectedValue(new StoreError("quota", "the disk is full"));
  await expect(store.close()).rejects.toMatchObject({ code: "quota" });
  await expect(store.close()).rejects.toMatchObject({ code: "quota" });
  if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
  expect(await isFree(dir)).toBe(true);
});

/** Whether nobody uses the data directory. */
async function isFree(dataDir: string): Promise<boolean> {
  try {
    await (await lockDataDir(dataDir))();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "conflict" });
    return false;
  }
}

test.skipIf(process.platform === "win32")("a new data directory is for its user alone", async () => {
  const path = join(dir, "new", "data");
  await (await openEmbeddedStore(path)).close();
  expect((await stat(path)).mode & 0o777).toBe(0o700);
});

test("a store whose database is gone is not an empty store", async () => {
  const store = await openEmbeddedStore(dir);
  await store.blobs.putMany([content]);
  await store.close();
  await rename(join(dir, "store.lmdb"), join(dir, "elsewhere"));
  await expect(openEmbeddedStore(dir)).rejects.toMatchObject({ code: "corrupt" });
  await rename(join(dir, "elsewhere"), join(dir, "store.lmdb"));
  const again = await openEmbeddedStore(dir);
  expect(await again.blobs.readMany([file.digest])).toEqual([content]);
  await again.close();
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
