import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { asBytes, LmdbEnvironment } from "../../src/node/lmdb.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

/** Name of the database that can't be opened, and the promises that `committed` returns. */
const broken = vi.hoisted(() => ({ database: "", committed: undefined as Promise<boolean> | undefined }));
vi.mock("lmdb", async (original) => {
  const actual = await original<typeof import("lmdb")>();
  const open = (options: Parameters<typeof actual.open>[0]) => {
    const root = actual.open(options);
    const openDB = root.openDB.bind(root);
    root.openDB = ((database: { name: string }) => {
      if (database.name === broken.database) throw new Error("MDB_CORRUPTED");
      return openDB(database);
    }) as typeof root.openDB;
    return new Proxy(root, {
      get: (target, name) => (name === "committed" && broken.committed) || Reflect.get(target, name),
    });
  };
  return { ...actual, open };
});

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-lmdb-"));
  path = join(dir, "deep", "store.lmdb");
});
afterEach(async () => {
  Object.assign(broken, { database: "", committed: undefined });
  await rm(dir, { recursive: true, force: true });
});

const hashPart = (digit: string): string => digit.repeat(32);

function infoOf(hashPart: string, more: Partial<PathInfo> = {}): PathInfo {
  return {
    storePath: `/nix/store/${hashPart}-name`,
    node: { kind: "file", digest: EMPTY_DIGEST, size: 0n, executable: false },
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 1,
    references: [],
    signatures: [],
    ...more,
  };
}

test("a file that can't be created or opened is an error", async () => {
  await writeFile(join(dir, "deep"), "");
  await expect(LmdbEnvironment.open(path)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
  await rm(join(dir, "deep"));
  await mkdir(path, { recursive: true });
  await expect(LmdbEnvironment.open(path)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
});

describe.skipIf(!tellsOpenFiles)("the file is closed", () => {
  test.each(["directories", "path-infos"])("if the database %s can't be opened", async (database) => {
    broken.database = database;
    await expect(LmdbEnvironment.open(path)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(openFilesIn(dir)).toBe(0);
  });

  test("by `close`, even if the last writes fail", async () => {
    const environment = await LmdbEnvironment.open(path);
    expect(openFilesIn(dir)).toBeGreaterThan(0);
    broken.committed = Promise.reject(new Error("No space left on device"));
    await expect(environment.close()).rejects.toMatchObject({ name: "StoreError", code: "quota" });
    expect(openFilesIn(dir)).toBe(0);
  });
});

describe("with an open file", () => {
  let environment: LmdbEnvironment;
  beforeEach(async () => {
    environment = await LmdbEnvironment.open(path);
  });
  afterEach(() => environment.close());

  test.each([
    ["No space left on device", "quota"],
    ["MDB_MAP_FULL: Environment mapsize limit reached", "quota"],
    ["Disk quota exceeded", "quota"],
    ["Input/output error", "unavailable"],
  ])("a write that fails with %j has the code %s, and the message of the real cause", async (message, code) => {
    const expected = { name: "StoreError", code, message: `can't write: ${message}` };
    const cause = new Error(message);
    await expect(environment.written("can't write", () => Promise.reject(cause))).rejects.toMatchObject({ ...expected, cause });
    // LMDB's own error for each write of a failed transaction.
    const commitError = Promise.reject(cause);
    const failed = Object.assign(new Error("Commit failed"), { commitError });
    await expect(environment.written("can't write", () => Promise.reject(failed))).rejects.toMatchObject({ ...expected, cause });
    // An error whose `commitError` is fine is the cause itself.
    const other = Object.assign(new Error(message), { commitError: Promise.resolve() });
    await expect(environment.written("can't write", () => Promise.reject(other))).rejects.toMatchObject({
      ...expected,
      cause: other,
    });
  });

  test("directories are found by their digests, in order, with missing ones in between", async () => {
    const stored = [makeDirectory([]), makeDirectory([{ name: utf8("link"), node: { kind: "symlink", target: utf8("x") } }])];
    await environment.directories.putMany(stored.map((one) => ({ digest: directoryDigest(one), bytes: encodeDirectory(one) })));
    await environment.directories.putMany([]);
    const [empty, other] = stored.map(directoryDigest);
    if (!empty || !other) throw new Error("there are two");
    const found = await environment.directories.getMany([other, digestOf(utf8("missing")), empty]);
    expect(found).toEqual([encodeDirectory(stored[1] ?? { entries: [] }), undefined, new Uint8Array(0)]);
  });

  test.each([0, 256, 257])("%d path infos are listed by hash part", async (count) => {
    const digits = "0123456789abcdfghijklmnpqrsvwxyz";
    const parts = Array.from({ length: count }, (_, i) => `${digits[i % 32]}${digits[i >> 5]}${"0".repeat(30)}`);
    await Promise.all(parts.map((part) => environment.pathInfos.put(infoOf(part))));
    const listed: string[] = [];
    for await (const { storePath } of environment.pathInfos.list()) listed.push(storePath.slice(11, 43));
    expect(listed).toEqual([...parts].sort());
  });

  test("a list stops at an abort", async () => {
    await environment.pathInfos.put(infoOf(hashPart("a")));
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(environment.pathInfos.list({ signal }).next()).rejects.toBe(signal.reason);
  });

  test("a deleted path info is gone, and is deleted once", async () => {
    for (const digit of ["a", "b"]) await environment.pathInfos.put(infoOf(hashPart(digit)));
    expect(await environment.pathInfos.delete(hashPart("a"))).toBe(true);
    expect(await environment.pathInfos.delete(hashPart("a"))).toBe(false);
    expect(await environment.pathInfos.get(hashPart("a"))).toBeUndefined();
    expect(await environment.pathInfos.get(hashPart("b"))).toEqual(infoOf(hashPart("b")));
  });

  test("concurrent puts of one path keep all signatures", async () => {
    const signatures = Array.from({ length: 10 }, (_, i) => `key-${i}:${btoa("s".repeat(64))}`);
    await Promise.all(signatures.map((one) => environment.pathInfos.put(infoOf(hashPart("a"), { signatures: [one] }))));
    const found = await environment.pathInfos.get(hashPart("a"));
    expect([...(found?.signatures ?? [])].sort()).toEqual(signatures);
  });

  test("a path info that breaks a rule is refused", async () => {
    await expect(environment.pathInfos.put(infoOf(hashPart("a"), { narSize: -1 }))).rejects.toMatchObject({ code: "invalid" });
    expect(await environment.pathInfos.get(hashPart("a"))).toBeUndefined();
  });

  test("a stored path info that is damaged, or names another path, is corrupt", async () => {
    await environment.pathInfos.put(infoOf(hashPart("a")));
    const database = environment.database("path-infos");
    const stored = asBytes(database.getBinary(Buffer.from(hashPart("a"))))?.slice() ?? new Uint8Array(0);
    await database.put(Buffer.from(hashPart("b")), Buffer.from(stored));
    await database.put(Buffer.from(hashPart("d")), Buffer.from(stored.subarray(0, -3)));
    for (const digit of ["b", "d"])
      await expect(environment.pathInfos.get(hashPart(digit))).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
    const list = async () => {
      for await (const _ of environment.pathInfos.list());
    };
    await expect(list()).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
    for (const digit of ["b", "d"]) {
      const info = infoOf(hashPart(digit));
      expect(await environment.pathInfos.put(info)).toEqual(info);
      expect(await environment.pathInfos.get(hashPart(digit))).toEqual(info);
    }
    await list();
  });

  test("records are replaced, and separate under each name", async () => {
    const records = environment.records("one");
    await records.put(
      new Map([
        ["a", "1"],
        ["b", "2"],
      ]),
    );
    await records.put(new Map([["a", "ä"]]));
    expect(await Promise.all(["a", "b", "c"].map((key) => records.get(key)))).toEqual(["ä", "2", undefined]);
    expect(await environment.records("two").get("a")).toBeUndefined();
  });
});
