import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { decodeUtf8, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { listDirectory, parseEntryPath, requireNode, resolvePath } from "../../src/store/list.ts";
import { failure } from "./fixtures.ts";

const file: Node = { kind: "file", digest: digestOf(utf8("x")), size: 1n, executable: true };
const link: Node = { kind: "symlink", target: utf8("bin") };
const bin = makeDirectory([
  { name: utf8("run"), node: file },
  { name: new Uint8Array([0xff]), node: link },
]);
const top = makeDirectory([
  { name: utf8("bin"), node: directoryNode(bin, "documented") },
  { name: utf8("link"), node: link },
]);
const root = directoryNode(top, "documented");

async function store() {
  const services = createMemoryStore();
  await services.directories.put([bin, top]);
  return services;
}

describe("parseEntryPath", () => {
  test.each([
    ["", []],
    ["bin", ["bin"]],
    ["share/doc/ä b", ["share", "doc", "ä b"]],
    ["a/...", ["a", "..."]],
  ])("%j", (path, names) => {
    expect(parseEntryPath(path).map(decodeUtf8)).toEqual(names);
    expect(parseEntryPath(utf8(path)).map(decodeUtf8)).toEqual(names);
  });

  test("keeps bytes that are not UTF-8", () => {
    expect(parseEntryPath(new Uint8Array([0xff, 0x2f, 0xfe]))).toEqual([new Uint8Array([0xff]), new Uint8Array([0xfe])]);
  });

  test.each(["/", "/bin", "bin/", "a//b", ".", "a/..", "../a", "a/./b", "a\0b", "x".repeat(256)])("rejects %j", (path) => {
    expect(() => parseEntryPath(path)).toThrow(expect.objectContaining({ code: "invalid" }));
  });
});

test("a path may have 256 KiB, and no more", () => {
  const most = "a/".repeat(128 * 1024 - 1).concat("ab");
  expect(most).toHaveLength(256 * 1024);
  expect(parseEntryPath(most)).toHaveLength(128 * 1024);
  for (const path of [`${most}c`, utf8(`${most}c`)])
    expect(() => parseEntryPath(path)).toThrow(expect.objectContaining({ name: "StoreError", code: "invalid" }));
});

describe("resolvePath", () => {
  test("finds nodes", async () => {
    const services = await store();
    expect(await resolvePath(services, root, "")).toEqual(root);
    expect(await resolvePath(services, root, "bin/run")).toEqual(file);
    expect(await resolvePath(services, root, parseEntryPath(new Uint8Array([0x62, 0x69, 0x6e, 0x2f, 0xff])))).toEqual(link);
  });

  test.each(["no", "bin/no", "bin/run/no", "link/run"])("finds nothing at %s", async (path) => {
    expect(await resolvePath(await store(), root, path)).toBeUndefined();
  });

  test("fails if a directory is missing", async () => {
    expect(await failure(resolvePath(createMemoryStore(), root, "bin"))).toMatchObject({ code: "not-found" });
  });
});

describe("listDirectory", () => {
  test("lists in order", async () => {
    const services = await store();
    expect(await listDirectory(services, root, "")).toEqual(top.entries);
    expect(await listDirectory(services, root, "bin")).toEqual(bin.entries);
    expect(await listDirectory(services, root, "no")).toBeUndefined();
  });

  test("rejects files and symlinks", async () => {
    const services = await store();
    expect(await failure(listDirectory(services, root, "bin/run"))).toMatchObject({ code: "invalid" });
    expect(await failure(listDirectory(services, root, "link"))).toMatchObject({ code: "invalid" });
  });
});

describe("requireNode", () => {
  const storePath = `/nix/store/${"1".repeat(32)}-p`;

  async function withPath() {
    const services = await store();
    await services.pathInfos.put({
      storePath,
      node: root,
      narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
      narSize: 120,
      references: [],
      signatures: [],
    });
    return services;
  }

  test("finds nodes by text and by bytes", async () => {
    const services = await withPath();
    expect(await requireNode(services, storePath, "")).toEqual(root);
    expect(await requireNode(services, storePath, "bin/run")).toEqual(file);
    expect(await requireNode(services, storePath, Uint8Array.of(0x62, 0x69, 0x6e, 0x2f, 0xff))).toEqual(link);
  });

  test.each<[string, string | Uint8Array, string]>([
    ["nothing there", "bin/no", '"bin/no"'],
    ["nothing there, in bytes", utf8("no"), '"no"'],
    ["something beneath a file", "bin/run/x", '"bin/run/x"'],
  ])("fails with not-found: %s", async (_, path, shown) => {
    const error = await failure(requireNode(await withPath(), storePath, path));
    expect(error).toMatchObject({ name: "StoreError", code: "not-found", message: `${storePath} has nothing at ${shown}` });
  });

  test("fails if the store lacks the path, and passes the signal on", async () => {
    expect(await failure(requireNode(await store(), storePath, ""))).toMatchObject({ code: "not-found" });
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    expect(await failure(requireNode(await withPath(), storePath, "", { signal }))).toBe(reason);
    expect(await failure(resolvePath(await store(), root, "bin", { signal }))).toBe(reason);
  });
});

test("a path that is no directory is named, in whatever form it was given", async () => {
  const services = await store();
  for (const path of ["bin/run", utf8("bin/run"), [utf8("bin"), utf8("run")]])
    expect(await failure(listDirectory(services, root, path))).toMatchObject({
      code: "invalid",
      message: '"bin/run" is a file, not a directory',
    });
});
