import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { createFileDurably, writeFilesDurably } from "../../../src/node/objects/durable-files.ts";

/** What the file system does: the calls in order, and the codes of errors. */
const disk = vi.hoisted(() => ({ calls: [] as string[], sync: "", link: "", syncProgram: 0 }));
vi.mock("node:fs/promises", async (original) => {
  const actual = await original<typeof import("node:fs/promises")>();
  const failing = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  const open: typeof actual.open = async (path, ...rest) => {
    const handle = await actual.open(path, ...rest);
    const [sync, datasync] = [handle.sync.bind(handle), handle.datasync.bind(handle)];
    handle.sync = () => {
      disk.calls.push(`sync ${path}`);
      return disk.sync ? failing(disk.sync) : sync();
    };
    handle.datasync = () => {
      disk.calls.push(`datasync ${path}`);
      return datasync();
    };
    return handle;
  };
  const link: typeof actual.link = (...args) => (disk.link ? failing(disk.link) : actual.link(...args));
  return { ...actual, open, link };
});
vi.mock("node:child_process", async (original) => {
  const actual = await original<typeof import("node:child_process")>();
  const spawn = (...args: unknown[]) => {
    disk.calls.push(`spawn ${args.flat().slice(0, 3).join(" ")}`);
    return actual.spawn(process.execPath, ["-e", `process.exitCode = ${disk.syncProgram}`]);
  };
  return { ...actual, spawn };
});

let root: string;
let temporary: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-durable-"));
  temporary = join(root, "tmp");
  await mkdir(temporary);
  Object.assign(disk, { calls: [], sync: "", link: "", syncProgram: 0 });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const file = (path: string, text = path) => ({ path, bytes: utf8(text) });
const textOf = (path: string) => readFile(join(root, path), "utf8");
/** Calls with paths relative to the root. Temporary files have no numbers. */
const calls = () =>
  disk.calls.map((call) =>
    call
      .replaceAll(`${root}/`, "")
      .replaceAll(root, ".")
      .replace(/tmp\/.*/, "tmp"),
  );

describe("writing files", () => {
  test("replaces existing files, makes directories and leaves no temporary files", async () => {
    await writeFilesDurably(root, temporary, [[file("a/b/c"), file("a/empty", "")], [file("d", "old")]]);
    await writeFilesDurably(root, temporary, [[], [file("d", "new")]]);
    expect(await Promise.all(["a/b/c", "a/empty", "d"].map(textOf))).toEqual(["a/b/c", "", "new"]);
    expect(await readdir(temporary)).toEqual([]);
    expect((await stat(join(root, "d"))).mode & 0o777).toBe(0o644 & ~process.umask());
  });

  test("flushes the content before the names, and the directories of a group before the next group", async () => {
    await writeFilesDurably(root, temporary, [[file("a/b")], [file("c/d")]]);
    expect(calls().slice(0, 2)).toEqual(["datasync tmp", "datasync tmp"]);
    const [first, second] = [calls().slice(2, 4), calls().slice(4)];
    expect([...first].sort()).toEqual(["sync .", "sync a"]);
    expect([...second].sort()).toEqual(["sync .", "sync c"]);
  });

  test.each([
    [16, false],
    [17, true],
  ])("%d files are flushed with one `sync -f`: %s", async (count, isTogether) => {
    const files = Array.from({ length: count }, (_, i) => file(`a/${i}`));
    await writeFilesDurably(root, temporary, [files]);
    expect(calls().filter((call) => call.startsWith("spawn"))).toEqual(isTogether ? ["spawn sync -f ."] : []);
    expect(calls().filter((call) => call.startsWith("datasync"))).toHaveLength(isTogether ? 0 : count);
    expect(await readdir(join(root, "a"))).toHaveLength(count);
  });

  test("a file system that can't flush directories is no failure", async () => {
    disk.sync = "EINVAL";
    await writeFilesDurably(root, temporary, [[file("a")]]);
    expect(await textOf("a")).toBe("a");
  });

  test.each([
    ["EIO", "unavailable"],
    ["ENOSPC", "quota"],
    ["EACCES", "denied"],
  ])("%s is the error %s, and leaves no temporary files", async (code, expected) => {
    disk.sync = code;
    const failing = writeFilesDurably(root, temporary, [[file("a")], [file("b")]]);
    await expect(failing).rejects.toMatchObject({ name: "StoreError", code: expected, message: expect.not.stringContaining(root) });
    expect(await readdir(temporary)).toEqual([]);
    await expect(stat(join(root, "b"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("a file in the place of a directory is an error", async () => {
    await writeFile(join(root, "a"), "");
    await expect(writeFilesDurably(root, temporary, [[file("a/b")]])).rejects.toMatchObject({ code: "unavailable" });
    expect(await readdir(temporary)).toEqual([]);
  });

  // This test is the last one of this group: the module doesn't try the program again.
  test("without a working program `sync`, each of many files is flushed", async () => {
    disk.syncProgram = 1;
    const files = Array.from({ length: 17 }, (_, i) => file(`a/${i}`));
    for (let i = 0; i < 2; i++) await writeFilesDurably(root, temporary, [files]);
    expect(calls().filter((call) => call.startsWith("spawn"))).toHaveLength(1);
    expect(calls().filter((call) => call === "sync tmp")).toHaveLength(2 * 17);
  });
});

describe("creating a file", () => {
  test("writes it unless it exists", async () => {
    expect(await createFileDurably(root, temporary, file("a/b", "first"))).toBe(true);
    expect(calls().slice(0, 1)).toEqual(["datasync tmp"]);
    expect(calls().slice(1).sort()).toEqual(["sync .", "sync a"]);
    expect(await createFileDurably(root, temporary, file("a/b", "second"))).toBe(false);
    expect(await textOf("a/b")).toBe("first");
    expect(await readdir(temporary)).toEqual([]);
  });

  test("one of several concurrent calls writes it", async () => {
    const created = await Promise.all(["1", "2", "3"].map((text) => createFileDurably(root, temporary, file("a", text))));
    expect(created.filter((one) => one)).toHaveLength(1);
    expect(await textOf("a")).toBe(`${created.indexOf(true) + 1}`);
  });

  test.each(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])("renames it if hard links fail with %s", async (code) => {
    disk.link = code;
    expect(await createFileDurably(root, temporary, file("a"))).toBe(true);
    expect(await textOf("a")).toBe("a");
    expect(await readdir(temporary)).toEqual([]);
  });

  test.each([
    ["ENOSPC", "quota"],
    ["EIO", "unavailable"],
  ])("fails if hard links fail with %s, and leaves nothing", async (code, expected) => {
    disk.link = code;
    await expect(createFileDurably(root, temporary, file("a"))).rejects.toMatchObject({ name: "StoreError", code: expected });
    expect(await readdir(temporary)).toEqual([]);
    await expect(stat(join(root, "a"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
