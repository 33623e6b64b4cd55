import { afterEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { OpfsPacks } from "../../src/worker/opfs-packs.ts";
import { PackGone } from "../../src/worker/storage-error.ts";
import { type FileAbilities, fileError, type MemoryDirectory, type MemoryFile, memoryOpfs } from "./memory-files.ts";
import { allSettled, failure } from "./memory-store.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

interface Opened {
  readonly root: MemoryDirectory;
  readonly directory: MemoryDirectory;
  readonly packs: OpfsPacks;
  file(id: string): MemoryFile;
}

async function open(abilities?: Partial<FileAbilities>): Promise<Opened> {
  const root = memoryOpfs(abilities);
  const packs = await OpfsPacks.open("store");
  if (!packs) throw new Error("the packs were not opened");
  const directory = directoryOf(root);
  return { root, directory, packs, file: (id) => directory.entries.get(`${id}.pack`) as MemoryFile };
}

function directoryOf(root: MemoryDirectory): MemoryDirectory {
  return (root.entries.get("tvix-store-web") as MemoryDirectory).entries.get("store") as MemoryDirectory;
}

async function write({ packs }: Opened, id: string, content: string, sync: "now" | "beside" | "never" = "never"): Promise<void> {
  const writer = await packs.create(id);
  await writer.append(utf8(content));
  await writer.finish(sync);
}

const ranges = (...list: [offset: number, length: number][]) => list.map(([offset, length]) => ({ offset, length }));
const KINDS = [
  ["shared handles", { sharesHandles: true }],
  ["files", { sharesHandles: false }],
] as const;

describe("opening", () => {
  test("finds out what the browser can, and leaves no file", async () => {
    expect((await open()).packs.isWritable).toBe(true);
    const reading = await open({ hasHandles: false });
    expect(reading.packs.isWritable).toBe(false);
    expect([...reading.directory.entries]).toEqual([]);
  });

  test("fails without OPFS", async () => {
    vi.stubGlobal("navigator", {});
    expect(await OpfsPacks.open("store")).toBeUndefined();
    vi.stubGlobal("navigator", { storage: {} });
    expect(await OpfsPacks.open("store")).toBeUndefined();
    vi.stubGlobal("navigator", { storage: { getDirectory: () => Promise.reject(fileError("SecurityError")) } });
    expect(await OpfsPacks.open("store")).toBeUndefined();
  });

  test("fails if nothing can be written, and removes the test file", async () => {
    const root = memoryOpfs();
    const all = await root.getDirectoryHandle("tvix-store-web", { create: true });
    const directory = await all.getDirectoryHandle("store", { create: true });
    const getFileHandle = directory.getFileHandle.bind(directory);
    let made: MemoryFile | undefined;
    directory.getFileHandle = async (...args) => {
      made = await getFileHandle(...args);
      made.room = 0;
      return made;
    };
    expect(await OpfsPacks.open("store")).toBeUndefined();
    expect(made?.open.size).toBe(0);
    expect([...directory.entries]).toEqual([]);
  });

  test("fails if the browser does not answer within 3 seconds", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("navigator", { storage: { getDirectory: () => new Promise(() => {}) } });
    let found: unknown = "nothing yet";
    const opening = OpfsPacks.open("store").then((packs) => {
      found = packs;
    });
    await vi.advanceTimersByTimeAsync(2999);
    expect(found).toBe("nothing yet");
    await vi.advanceTimersByTimeAsync(1);
    await opening;
    expect(found).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe.each(KINDS)("packs that are read through %s", (kind, abilities) => {
  test("return each range, in order, also an empty one at the end", async () => {
    const opened = await open(abilities);
    await write(opened, "id", "0123456789");
    expect(await opened.packs.read("id", ranges([8, 2], [0, 3], [10, 0]))).toEqual([utf8("89"), utf8("012"), utf8("")]);
    expect(await opened.packs.size("id")).toBe(10);
  });

  test("are gone if they are shorter than a range, or missing", async () => {
    const opened = await open(abilities);
    await write(opened, "id", "0123456789");
    const short: unknown = await opened.packs.read("id", ranges([0, 1], [8, 3])).catch((error: unknown) => error);
    expect(short).toBeInstanceOf(PackGone);
    expect(short).toMatchObject({ code: "corrupt", pack: "id" });
    for (const reading of [opened.packs.read("none", ranges([0, 1])), opened.packs.size("none")]) {
      const gone: unknown = await reading.catch((error: unknown) => error);
      expect(gone).toBeInstanceOf(PackGone);
      expect(gone).toMatchObject({ pack: "none", cause: { name: "NotFoundError" } });
    }
  });

  test.each(["NotReadableError", "AbortError"])("are gone after a %s, as if they were missing", async (name) => {
    const opened = await open(abilities);
    opened.directory.failures.set("getFileHandle", fileError(name));
    await expect(opened.packs.read("id", ranges([0, 1]))).rejects.toBeInstanceOf(PackGone);
  });

  test.each([
    ["SecurityError", "denied"],
    ["NotAllowedError", "denied"],
    ["InvalidStateError", "unavailable"],
    ["QuotaExceededError", "quota"],
  ])("throw a StoreError after a %s", async (name, code) => {
    const opened = await open(abilities);
    opened.directory.failures.set("getFileHandle", fileError(name));
    expect(await failure(opened.packs.read("id", ranges([0, 1])))).toBe(code);
  });

  test("can be read after a read has failed", async () => {
    const opened = await open(abilities);
    await write(opened, "id", "content");
    opened.directory.failures.set("getFileHandle", fileError("InvalidStateError"));
    expect(await failure(opened.packs.read("id", ranges([0, 1])))).toBe("unavailable");
    expect(await opened.packs.read("id", ranges([0, 1]))).toEqual([utf8("c")]);
  });

  test(kind === "files" ? "hold no handles" : "hold a handle each, until they are released or closed", async () => {
    const opened = await open(abilities);
    for (const id of ["a", "b"]) await write(opened, id, id);
    for (const id of ["a", "b", "a"]) await opened.packs.read(id, ranges([0, 1]));
    const held = (): number[] => ["a", "b"].map((id) => opened.file(id).open.size);
    expect(held()).toEqual(kind === "files" ? [0, 0] : [1, 1]);
    opened.packs.release("a");
    opened.packs.release("none");
    await allSettled();
    expect(held()).toEqual(kind === "files" ? [0, 0] : [0, 1]);
    opened.packs.close();
    await allSettled();
    expect(held()).toEqual([0, 0]);
  });
});

test("64 handles stay open; the one that was used least recently is closed", async () => {
  const opened = await open();
  const ids = Array.from({ length: 65 }, (_, i) => `pack ${i}`);
  for (const id of ids) await write(opened, id, id);
  for (const id of ids.slice(0, 64)) await opened.packs.read(id, ranges([0, 1]));
  const held = (): string[] => ids.filter((id) => opened.file(id).open.size > 0);
  expect(held()).toHaveLength(64);
  await opened.packs.read("pack 0", ranges([0, 1]));
  await opened.packs.read("pack 64", ranges([0, 1]));
  await allSettled();
  expect(held()).toEqual(ids.filter((id) => id !== "pack 1"));
  // A writer and one reader: no handle was opened twice.
  expect(opened.file("pack 0").opened).toBe(2);
});

describe("the list", () => {
  test("names the packs, and no other files", async () => {
    const opened = await open();
    for (const id of ["a", "b"]) await write(opened, id, id);
    await opened.directory.getFileHandle("probe-1", { create: true });
    expect(await opened.packs.list()).toEqual(["a", "b"]);
    expect(await opened.packs.missing(["b", "c", "a", "d"])).toEqual(["c", "d"]);
  });

  test("is what was found before the directory disappeared; other errors are unavailable", async () => {
    const opened = await open();
    await write(opened, "a", "a");
    opened.directory.failures.set("keys", fileError("NotFoundError"));
    expect(await opened.packs.list()).toEqual(["a"]);
    opened.directory.failures.set("keys", fileError("InvalidStateError"));
    expect(await failure(opened.packs.list())).toBe("unavailable");
    opened.directory.failures.set("getFileHandle", fileError("InvalidStateError"));
    expect(await failure(opened.packs.missing(["a"]))).toBe("unavailable");
  });
});

describe("deleting a pack", () => {
  test("closes its own handle first, and also succeeds without a pack", async () => {
    const opened = await open();
    await write(opened, "a", "a");
    await opened.packs.read("a", ranges([0, 1]));
    expect(await opened.packs.delete("a")).toBe(true);
    expect(await opened.packs.list()).toEqual([]);
    expect(await opened.packs.delete("a")).toBe(true);
  });

  test("fails for now while somebody else has the file open", async () => {
    const opened = await open();
    await write(opened, "a", "a");
    opened.file("a").open.add({});
    expect(await opened.packs.delete("a")).toBe(false);
    opened.directory.failures.set("removeEntry", fileError("InvalidStateError"));
    expect(await opened.packs.delete("a")).toBe(false);
  });

  test("passes other errors on", async () => {
    const opened = await open();
    opened.directory.failures.set("removeEntry", fileError("SecurityError"));
    expect(await failure(opened.packs.delete("a"))).toBe("denied");
    const problem = new TypeError("a bug");
    opened.directory.failures.set("removeEntry", problem);
    await expect(opened.packs.delete("a")).rejects.toBe(problem);
  });
});

describe("a new pack", () => {
  test("is made in a new directory if the site's files were cleared", async () => {
    const opened = await open();
    opened.root.wipe();
    // The root itself survives.
    const root = memoryOpfs();
    await write(opened, "a", "content");
    expect((directoryOf(root).entries.get("a.pack") as MemoryFile).bytes).toEqual(utf8("content"));
    expect(await opened.packs.list()).toEqual(["a"]);
  });

  test("is not tried again if the disk is full, or after a bug", async () => {
    const opened = await open();
    opened.directory.failures.set("getFileHandle", fileError("QuotaExceededError"));
    expect(await failure(opened.packs.create("a"))).toBe("quota");
    const problem = new TypeError("a bug");
    opened.directory.failures.set("getFileHandle", problem);
    await expect(opened.packs.create("a")).rejects.toBe(problem);
    expect([...opened.directory.entries]).toEqual([]);
  });

  test("can't be made where files have no handles", async () => {
    const opened = await open({ hasHandles: false });
    expect(await failure(opened.packs.create("a"))).toBe("unavailable");
  });

  test("is flushed after its handle is closed, in this thread if no worker starts", async () => {
    const opened = await open();
    await write(opened, "a", "a", "beside");
    // The writer's handle, and that of the flush.
    expect(opened.file("a")).toMatchObject({ flushes: 1, opened: 2 });
    expect(opened.file("a").open.size).toBe(0);
  });

  test("is deleted when its writer aborts", async () => {
    const opened = await open();
    const writer = await opened.packs.create("a");
    await writer.append(utf8("a"));
    await writer.abort();
    expect([...opened.directory.entries]).toEqual([]);
  });
});
