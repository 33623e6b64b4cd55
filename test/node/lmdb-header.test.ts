import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LmdbEnvironment } from "../../src/node/lmdb.ts";
import { checkLmdbHeader } from "../../src/node/lmdb-header.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

const CORRUPT = { name: "StoreError", code: "corrupt" };

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-lmdb-header-"));
  path = join(dir, "store.lmdb");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Makes a database, and changes its bytes. */
async function change(by: (bytes: Buffer) => void): Promise<void> {
  await (await LmdbEnvironment.open(path)).close();
  const bytes = await readFile(path);
  by(bytes);
  await writeFile(path, bytes);
}

test("a missing file, an empty one and a directory are left to LMDB", async () => {
  await checkLmdbHeader(path);
  await writeFile(path, "");
  await checkLmdbHeader(path);
  await checkLmdbHeader(dir);
});

test("a database of ours is fine", async () => {
  await change(() => {});
  await checkLmdbHeader(path);
});

test("a database that is cut short after its roots is refused, and one that lacks its last pages is not", async () => {
  const environment = await LmdbEnvironment.open(path);
  const database = environment.database("test");
  for (let i = 0; i < 100; i++) await database.put(Buffer.from([i]), Buffer.alloc(3000));
  await environment.close();
  const { size } = await stat(path);
  await truncate(path, size - 4096);
  await checkLmdbHeader(path);
  for (const rest of [Math.floor(size / 2), 8192]) {
    await truncate(path, rest);
    await expect(checkLmdbHeader(path)).rejects.toMatchObject(CORRUPT);
  }
});

test("what can't be read is an error of the system", async () => {
  await expect(checkLmdbHeader(join(import.meta.filename, "x"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

test.each<[string, () => Promise<void>]>([
  ["of some bytes", () => writeFile(path, "garbage")],
  ["of text", () => writeFile(path, "x".repeat(100_000))],
  ["of zeros", () => writeFile(path, new Uint8Array(100_000))],
  ["of another version", () => change((bytes) => bytes.writeUInt8(9, 28))],
  ["with another mark", () => change((bytes) => bytes.writeUInt8(9, 24))],
  ["that is cut short", () => change(() => {}).then(() => truncate(path, 8191))],
  ["that is cut within its mark", () => change(() => {}).then(() => truncate(path, 26))],
])("a file %s is refused instead of ending the process, and closed", async (_, make) => {
  await make();
  await expect(checkLmdbHeader(path)).rejects.toMatchObject(CORRUPT);
  await expect(LmdbEnvironment.open(path)).rejects.toMatchObject({ ...CORRUPT, message: expect.stringContaining(path) });
  if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
});
