import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { MAX_TAR_ENTRIES, MAX_TAR_NAME_BYTES, TarTree } from "../../src/castore/tar-tree.ts";

const symlink = (path: string) => ({ type: "symlink", path: utf8(path), linkPath: utf8("t"), size: 0, mode: 0o644 }) as const;

test("a tree of more than a million directories and files is refused", () => {
  const tree = new TarTree();
  // Each symlink adds 1001 entries beneath `r`.
  const add = (number: number): void => tree.add(symlink(`r/${number}/${"a/".repeat(999)}x`), undefined);
  const fit = Math.floor((MAX_TAR_ENTRIES - 1) / 1001);
  for (let i = 0; i < fit; i++) add(i);
  expect(() => add(fit)).toThrow(expect.objectContaining({ code: "invalid", message: expect.stringContaining("1000000") }));
}, 60_000);

test("entries that replace each other count too", () => {
  const tree = new TarTree();
  const entry = symlink("r");
  for (let i = 0; i < MAX_TAR_ENTRIES; i++) tree.add(entry, undefined);
  expect(() => tree.add(entry, undefined)).toThrow(expect.objectContaining({ code: "invalid" }));
}, 60_000);

test("a directory that is named again doesn't count again", () => {
  const tree = new TarTree();
  const entry = { ...symlink("r"), type: "directory", linkPath: utf8("") } as const;
  for (let i = 0; i < MAX_TAR_ENTRIES + 10; i++) tree.add(entry, undefined);
  expect([...tree.entries({ keepTop: false })]).toEqual([{ kind: "directory", path: [] }]);
}, 60_000);

test("names of more than 256 MiB are refused, in paths and link targets", () => {
  const tree = new TarTree();
  const long = new Uint8Array(1024 * 1024).fill(0x2e);
  const count = MAX_TAR_NAME_BYTES / long.length;
  const entry = { ...symlink(""), type: "directory", path: utf8("") } as const;
  for (let i = 0; i < count; i++) tree.add({ ...entry, linkPath: long }, undefined);
  expect(() => tree.add({ ...entry, path: utf8("./") }, undefined)).toThrow(expect.objectContaining({ code: "invalid" }));
});
