import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { IngestionEntry } from "../../src/castore/ingest.ts";
import { fsEntries } from "../../src/node/fs-entries.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-fs-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function entriesOf(path: string, options?: { signal: AbortSignal }): Promise<IngestionEntry[]> {
  const uploader = new BlobUploader(createMemoryStore().blobs);
  const entries: IngestionEntry[] = [];
  for await (const entry of fsEntries(path, uploader, options)) entries.push(entry);
  await uploader.flush();
  return entries;
}

const show = ({ kind, path }: IngestionEntry) => `${kind} ${path.map((name) => Buffer.from(name).toString("latin1")).join("/")}`;

test("yields the content of a directory before it, in the order of the names' bytes", async () => {
  mkdirSync(join(dir, "b"));
  mkdirSync(join(dir, "empty"));
  writeFileSync(join(dir, "b", "z"), "");
  writeFileSync(join(dir, "b.a"), "");
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff])]), "");
  symlinkSync("b", join(dir, "Link"));
  expect((await entriesOf(dir)).map(show)).toEqual([
    "symlink Link",
    "file b/z",
    "directory b",
    "file b.a",
    "directory empty",
    "file \xff",
    "directory ",
  ]);
});

test("takes the owner's permission for executable, and keeps symlinks unchanged", async () => {
  for (const [name, mode] of [
    ["a", 0o700],
    ["b", 0o655],
    ["c", 0o644],
  ] as const) {
    writeFileSync(join(dir, name), name);
    chmodSync(join(dir, name), mode);
  }
  symlinkSync("no/where", join(dir, "d"));
  const entries = await entriesOf(dir);
  expect(entries.slice(0, 3).map((entry) => entry.kind === "file" && entry.executable)).toEqual([true, false, false]);
  expect(entries[3]).toEqual({
    kind: "symlink",
    path: [Buffer.from("d")].map((n) => new Uint8Array(n)),
    target: new Uint8Array(Buffer.from("no/where")),
  });
  expect(await entriesOf(join(dir, "d"))).toMatchObject([{ kind: "symlink", path: [] }]);
});

test("reads whole files of any length", async () => {
  const sizes = [0, 1, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 3 * 1024 * 1024 + 5];
  const contents = sizes.map((size) => Buffer.alloc(size, `${size} bytes`));
  for (const [i, content] of contents.entries()) writeFileSync(join(dir, `${i}`), content);
  const files = (await entriesOf(dir)).filter((entry) => entry.kind === "file");
  expect(files.map((file) => file.contents.size)).toEqual(sizes);
  for (const [i, file] of files.entries()) {
    expect(Buffer.compare(file.contents.digest as Uint8Array, digestOf(contents[i] as Buffer))).toBe(0);
  }
});

test("refuses pipes, sockets and devices", async () => {
  execFileSync("mkfifo", [join(dir, "pipe")]);
  await expect(entriesOf(dir)).rejects.toMatchObject({ code: "invalid" });
  await rm(join(dir, "pipe"));
  const server = createServer();
  await new Promise<void>((done) => server.listen(join(dir, "socket"), done));
  await expect(entriesOf(dir)).rejects.toMatchObject({ code: "invalid" });
  server.close();
  await expect(entriesOf("/dev/null")).rejects.toMatchObject({ code: "invalid" });
});

test("names a missing file, and stops at an abort", async () => {
  await expect(entriesOf(join(dir, "missing"))).rejects.toMatchObject({ code: "not-found" });
  writeFileSync(join(dir, "large"), "");
  truncateSync(join(dir, "large"), 1024 ** 4);
  const reason = new Error("enough");
  const controller = new AbortController();
  const reading = entriesOf(dir, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 50);
  await expect(reading).rejects.toBe(reason);
});

test.skipIf(!tellsOpenFiles)("leaves no file open when it is stopped", async () => {
  for (const name of ["a", "b", "c"]) writeFileSync(join(dir, name), Buffer.alloc(200_000));
  const controller = new AbortController();
  const entries = fsEntries(dir, new BlobUploader(createMemoryStore().blobs), { signal: controller.signal });
  await entries.next();
  expect(openFilesIn(dir)).toBe(2);
  controller.abort(new Error("enough"));
  await expect(entries.next()).rejects.toBe(controller.signal.reason);
  await expect.poll(() => openFilesIn(dir)).toBe(0);
});

test("refuses a tree that is deeper than a NAR may be", async () => {
  let path = dir;
  for (let depth = 0; depth < 1024; depth++) path = join(path, "d");
  mkdirSync(path, { recursive: true });
  expect(await entriesOf(dir)).toHaveLength(1025);
  mkdirSync(join(path, "d"));
  await expect(entriesOf(dir)).rejects.toMatchObject({ code: "invalid" });
});
