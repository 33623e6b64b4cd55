import { describe, expect, test } from "vitest";
import { droppedItems, filesBeneath } from "../../src/browser/dropped.ts";
import { isStoreError } from "../../src/error.ts";

/** An entry as a browser without file system handles gives it. */
interface FakeEntry {
  readonly name: string;
  readonly fullPath: string;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
}

function fileEntry(fullPath: string, file: File | DOMException = new File([fullPath], "name")): FakeEntry {
  return {
    name: fullPath.slice(fullPath.lastIndexOf("/") + 1),
    fullPath,
    isDirectory: false,
    isFile: true,
    file: (resolve: (file: File) => void, reject: (error: unknown) => void) =>
      file instanceof File ? resolve(new File([file], file.name)) : reject(file),
  } as FakeEntry;
}

/** @param batches functions that return the results of consecutive `readEntries` calls */
function directoryEntry(fullPath: string, batches: readonly (() => FakeEntry[])[]): FakeEntry {
  const createReader = () => {
    let next = 0;
    return {
      readEntries(resolve: (entries: FakeEntry[]) => void, reject: (error: unknown) => void) {
        try {
          resolve(batches[next++]?.() ?? []);
        } catch (error) {
          reject(error);
        }
      },
    };
  };
  const name = fullPath.slice(fullPath.lastIndexOf("/") + 1);
  return { name, fullPath, isDirectory: true, isFile: false, createReader } as FakeEntry;
}

async function drop(entry: FakeEntry): ReturnType<typeof droppedItems> {
  const item = { kind: "file", webkitGetAsEntry: () => entry, getAsFile: () => null };
  return droppedItems({ items: [item] } as unknown as DataTransfer);
}

async function failure(entry: FakeEntry): Promise<unknown> {
  const error = await drop(entry).catch((error: unknown) => error);
  return isStoreError(error) ? { code: error.code, message: error.message } : error;
}

describe("a dropped folder", () => {
  test("has all files beneath it with their paths, in however many batches the browser lists them", async () => {
    const sub = directoryEntry("/top/sub", [() => [fileEntry("/top/sub/c")]]);
    const top = directoryEntry("/top", [() => [fileEntry("/top/a"), sub], () => [fileEntry("/top/b")]]);
    const { folders, files } = await drop(top);
    expect(files).toEqual([]);
    expect(folders.map(({ name }) => name)).toEqual(["top"]);
    const found = folders[0]?.source as File[];
    expect(found.map(({ webkitRelativePath }) => webkitRelativePath)).toEqual(["top/a", "top/b", "top/sub/c"]);
    expect(await found[2]?.text()).toBe("/top/sub/c");
  });

  test("that seems to contain itself, through a symlink, is refused", async () => {
    const loop = (path: string): FakeEntry => directoryEntry(path, [() => [loop(`${path}/loop`)]]);
    expect(await failure(loop("/loop"))).toMatchObject({ code: "invalid", message: expect.stringContaining('"loop"') });
  });

  test("that seems to hold endless files is refused", async () => {
    const batch = Array.from({ length: 100 }, () => fileEntry("/top/file"));
    const top = directoryEntry(
      "/top",
      Array<() => FakeEntry[]>(1000).fill(() => batch),
    );
    const root = top as unknown as FileSystemDirectoryEntry;
    await expect(filesBeneath(root, 350)).rejects.toMatchObject({ code: "invalid", message: expect.stringContaining('"top"') });
  });

  test("with an entry that can't be listed or read rejects with the entry's path", async () => {
    const gone = new DOMException("it is gone", "NotFoundError");
    const unlisted = directoryEntry("/top/sub", [
      () => {
        throw gone;
      },
    ]);
    for (const entry of [unlisted, fileEntry("/top/sub", gone)]) {
      expect(await failure(directoryEntry("/top", [() => [entry]]))).toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("/top/sub"),
      });
    }
  });
});
