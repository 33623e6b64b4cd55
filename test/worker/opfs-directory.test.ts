import { afterEach, describe, expect, test, vi } from "vitest";
import { makeDirectory, removeOpfsPacks } from "../../src/worker/opfs-directory.ts";
import { fileError, MemoryDirectory, type MemoryFile, memoryOpfs } from "./memory-files.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const all = (root: MemoryDirectory): string[] => [
  ...((root.entries.get("tvix-store-web") as MemoryDirectory | undefined)?.entries.keys() ?? []),
];

test("each store has a directory, whatever its name is", async () => {
  const root = memoryOpfs();
  const made = await makeDirectory("store");
  for (const name of ["store", "..", "a/b", ""]) await makeDirectory(name);
  expect(all(root)).toEqual(["store", "%2e%2e", "a%2Fb", ""]);
  expect(await makeDirectory("store")).toBe(made);
});

describe("removing a store's files", () => {
  test("removes its directory, and no other", async () => {
    const root = memoryOpfs();
    for (const name of ["store", "other"]) await makeDirectory(name);
    await removeOpfsPacks("store");
    expect(all(root)).toEqual(["other"]);
    await removeOpfsPacks("store");
    expect(all(root)).toEqual(["other"]);
  });

  test.each<[string, object]>([
    ["there is no storage API", {}],
    ["there is no OPFS", { storage: {} }],
    ["the mode forbids it", { storage: { getDirectory: () => Promise.reject(fileError("SecurityError")) } }],
    [
      "no store ever had files",
      { storage: { getDirectory: async () => new MemoryDirectory({ hasHandles: true, sharesHandles: true }) } },
    ],
  ])("does nothing if %s", async (_, navigator) => {
    vi.stubGlobal("navigator", navigator);
    await removeOpfsPacks("store");
  });

  /** A directory with a file that is open in another tab. */
  async function open(): Promise<{ root: MemoryDirectory; remove: ReturnType<typeof vi.spyOn>; close: () => void }> {
    const root = memoryOpfs();
    const directory = (await makeDirectory("store")) as unknown as MemoryDirectory;
    const file: MemoryFile = await directory.getFileHandle("a.pack", { create: true });
    const parent = root.entries.get("tvix-store-web") as MemoryDirectory;
    const removeEntry = parent.removeEntry.bind(parent);
    parent.removeEntry = async (name) => {
      if (file.open.size > 0) throw fileError("NoModificationAllowedError");
      return removeEntry(name);
    };
    file.open.add(file);
    return { root, remove: vi.spyOn(parent, "removeEntry"), close: () => file.open.clear() };
  }

  test("waits until other tabs have closed their files", async () => {
    vi.useFakeTimers();
    const { root, remove, close } = await open();
    const removing = removeOpfsPacks("store");
    await vi.advanceTimersByTimeAsync(2999);
    expect(remove).toHaveBeenCalledTimes(30);
    close();
    await vi.advanceTimersByTimeAsync(1);
    await removing;
    expect(all(root)).toEqual([]);
  });

  test("fails if that takes more than 3 seconds", async () => {
    vi.useFakeTimers();
    const { remove } = await open();
    const removing = expect(removeOpfsPacks("store")).rejects.toMatchObject({ name: "NoModificationAllowedError" });
    await vi.advanceTimersByTimeAsync(3000);
    await removing;
    expect(remove).toHaveBeenCalledTimes(31);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("passes other errors on at once", async () => {
    for (const problem of [fileError("InvalidStateError"), new TypeError("a bug")]) {
      const root = memoryOpfs();
      await makeDirectory("store");
      (root.entries.get("tvix-store-web") as MemoryDirectory).failures.set("removeEntry", problem);
      await expect(removeOpfsPacks("store")).rejects.toBe(problem);
      expect(all(root)).toEqual(["store"]);
    }
  });
});
