import { describe, expect, test } from "vitest";
import { decodeUtf8 } from "../../src/bytes.ts";
import { isStoreError } from "../../src/error.ts";
import type { FolderSource } from "../../src/thread/import-api.ts";
import { folderItems } from "../../src/worker/folder-tree.ts";

const FILE = new File(["x"], "x");

async function paths(source: FolderSource): Promise<string[]> {
  const found: string[] = [];
  for await (const { path } of folderItems(source)) found.push(path.map(decodeUtf8).join("/"));
  return found;
}

function list(...names: string[]): FolderSource {
  return { files: names.map((path) => ({ path, file: FILE })) };
}

async function failure(source: FolderSource): Promise<{ code: string; message: string }> {
  const error = await paths(source).catch((error: unknown) => error);
  if (!isStoreError(error)) throw new Error(`no StoreError: ${String(error)}`);
  return error;
}

/** Makes a directory handle that lists the items of `entries`. */
function directory(entries: () => AsyncIterable<[string, unknown]>): FileSystemDirectoryHandle {
  return { kind: "directory", name: "fake", entries } as unknown as FileSystemDirectoryHandle;
}

const levels = (count: number): string => Array.from({ length: count }, () => "d").join("/");

describe("a list of files", () => {
  test("is yielded depth first, directories after their content", async () => {
    expect(await paths(list("a/b/c", "z", "a/d", "a/b/e"))).toEqual(["a/b/c", "a/b/e", "a/b", "a/d", "a", "z", ""]);
    expect(await paths(list())).toEqual([""]);
  });

  test("may be as deep as a tree may be, and no deeper", async () => {
    expect(await paths(list(levels(1024)))).toHaveLength(1025);
    for (const depth of [1025, 200_000]) expect(await failure(list(levels(depth)))).toMatchObject({ code: "invalid" });
  });

  test.each([
    ["", "no name"],
    ["a//b", "an empty name"],
    ["/a", "an empty name in front"],
    ["a/", "an empty name at the end"],
    [".", "the directory itself"],
    ["a/./b", "the directory itself, on the way"],
    ["..", "the directory above"],
    ["../../etc/passwd", "a way out"],
    ["a/../b", "a way back"],
    ["a/\0", "NUL"],
    ["a/\0/b", "NUL on the way"],
    [`a/${"n".repeat(256)}`, "a name that is too long"],
    [`${"\u00e9".repeat(128)}/a`, "one that is too long as UTF-8"],
  ])("is refused for %j: %s", async (path) => {
    const { code, message } = await failure(list("fine/file", path));
    expect(code).toBe("invalid");
    // The message names the file, possibly shortened.
    expect(message).toContain(JSON.stringify(path).slice(1, 4));
  });

  test.each([
    [["a/b", "a/b"], "twice"],
    [["a", "a/b"], "beneath a file"],
    [["a/b", "a"], "a file and a directory of one name"],
  ])("is refused for %j: %s", async (names) => {
    expect(await failure(list(...names))).toMatchObject({ code: "invalid" });
  });
});

describe("a directory handle", () => {
  test("that contains itself, as through a symlink, is refused", async () => {
    const loop: FileSystemDirectoryHandle = directory(async function* () {
      yield ["loop", loop];
    });
    expect(await failure({ handle: loop })).toMatchObject({ code: "invalid" });
  });

  test("of a missing directory names it", async () => {
    const gone = directory(async function* () {
      yield* [];
      throw new DOMException("it is gone", "NotFoundError");
    });
    const root = directory(async function* () {
      yield ["sub", gone];
    });
    expect(await failure({ handle: root })).toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("sub"),
      cause: { name: "NotFoundError" },
    });
  });
});
