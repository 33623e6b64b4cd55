import { expect, test } from "vitest";
import { describeNotTold, describeSource, detectArchive, importSource } from "../../src/elements/import-source.ts";
import type { Store } from "../../src/index.ts";
import { fakeStore, pathInfo } from "./fake-store.browser.ts";

/** The length of a string in a NAR: 8 bytes, little endian. */
function int(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  bytes[0] = value;
  return bytes;
}

const NAR_START: readonly BlobPart[] = [int(13), "nix-archive-1", new Uint8Array(3)];

test.each<[string, readonly BlobPart[], string]>([
  ["a NAR by its first bytes, whatever its name is", NAR_START, "nar"],
  ["a nario by its first bytes", [int(1), ...NAR_START], "nario"],
  ["an empty file as a tar archive", [], "tar"],
  ["other content as a tar archive", ["some text that is long enough to be examined"], "tar"],
])("detects %s", async (_, parts, kind) => {
  expect(await detectArchive(new File([...parts], "archive.tar.gz"))).toBe(kind);
});

test.each([
  ["x.nar", "nar"],
  ["x.NAR.xz", "nar"],
  ["closure.nario", "nario"],
  ["closure.nario.zst", "nario"],
  ["x.narrow", "tar"],
  ["nar", "tar"],
  ["x.tar.gz", "tar"],
])("detects a compressed archive by its name: %s", async (name, kind) => {
  expect(await detectArchive(new File([new Uint8Array([0x1f, 0x8b, 8])], name))).toBe(kind);
});

/** A store that records which import was called, with which source and name. */
function recordingStore(): { store: Store; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const info = pathInfo("imported");
  const store = fakeStore({
    async importDirectory(source, options) {
      calls.push(["directory", source, options.name]);
      return { ...info, notTold: ["symlinks"] };
    },
    async importTar(archive, options) {
      calls.push(["tar", archive, options.name]);
      return info;
    },
    async importNar(archive, options) {
      calls.push(["nar", archive, "name" in options && options.name]);
      return info;
    },
    async importNario(archive) {
      calls.push(["nario", archive]);
      return [info, info];
    },
  });
  return { store, calls };
}

test("imports a source by its kind", async () => {
  const { store, calls } = recordingStore();
  const file = new File(["x"], "x");
  const files = [file];
  const imports = [
    await importSource(store, { name: "folder", source: files }, "nario", { name: "n" }),
    await importSource(store, file, "tar", { name: "n" }),
    await importSource(store, file, "nar", { name: "n" }),
    await importSource(store, file, "nario", { name: "n" }),
  ];
  expect(calls).toEqual([
    ["directory", files, "n"],
    ["tar", file, "n"],
    ["nar", file, "n"],
    ["nario", file],
  ]);
  expect(imports.map(({ infos, notTold }) => [infos.length, notTold])).toEqual([
    [1, ["symlinks"]],
    [1, []],
    [1, []],
    [2, []],
  ]);
});

test("describes a source by its size, as far as that is known", () => {
  const file = new File([new Uint8Array(2048)], "x");
  expect(describeSource(file)).toBe("2.0 KiB");
  expect(describeSource({ name: "x", source: [file, file] })).toBe("folder, 2 files, 4.0 KiB");
  expect(describeSource({ name: "x", source: {} as FileSystemDirectoryHandle })).toBe("folder");
});

test("tells what the browser did not report", () => {
  expect(describeNotTold(["symlinks"])).toMatch(/^Browsers don't report which are symbolic links, so/);
  expect(describeNotTold(["executable-bits", "symlinks", "empty-directories"])).toContain(
    "which files are executable, which are symbolic links, or directories without files",
  );
});
