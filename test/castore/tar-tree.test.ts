import { describe, expect, test } from "vitest";
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

describe("a path", () => {
  const entriesOf = (tree: TarTree): [kind: string, depth: number][] =>
    [...tree.entries({ keepTop: false })].map(({ kind, path }) => [kind, path.length]);

  test("may have 1024 names, and no more", () => {
    const tree = new TarTree();
    tree.add(symlink("a/".repeat(1023).concat("x")), undefined);
    expect(entriesOf(tree).at(0)).toEqual(["symlink", 1023]);
    expect(() => tree.add(symlink("a/".repeat(1024).concat("x")), undefined)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("may end with a name, a slash or a dot", () => {
    for (const path of ["d", "d/", "d/.", "./d//", "/d"]) {
      const tree = new TarTree();
      tree.add({ ...symlink(path), type: "directory" }, undefined);
      tree.add(symlink("d/x"), undefined);
      expect(entriesOf(tree)).toEqual([
        ["symlink", 1],
        ["directory", 0],
      ]);
    }
  });

  test("of a link's target may go on beneath something that is no directory, where nothing is", () => {
    const tree = new TarTree();
    tree.add(symlink("d/x"), undefined);
    tree.add({ ...symlink("d/l"), type: "hard link", linkPath: utf8("d/x/y/z") }, undefined);
    expect(() => [...tree.entries({ keepTop: false })]).toThrow(expect.objectContaining({ code: "invalid" }));
  });
});

test("entries come in the order in which they were added last", () => {
  const tree = new TarTree();
  for (const path of ["d/a", "d/b", "d/a"]) tree.add(symlink(path), undefined);
  expect(
    [...tree.entries({ keepTop: false })].map(({ path }) => path.map((name) => Buffer.from(name).toString()).join("/")),
  ).toEqual(["b", "a", ""]);
});
