import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import {
  checkDirectory,
  childDirectories,
  type DirectoryEntry,
  directorySize,
  findEntry,
  makeDirectory,
  sizeRulesOf,
} from "../../src/castore/directory.ts";
import { MAX_UINT64, type Node } from "../../src/castore/node.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

const LINK: Node = { kind: "symlink", target: utf8("x") };
const child = (size: bigint): Node => ({ kind: "directory", digest: EMPTY_DIGEST, size });
const file = (size: bigint): Node => ({ kind: "file", digest: EMPTY_DIGEST, size, executable: false });
const entry = (name: string, node: Node = LINK): DirectoryEntry => ({ name: utf8(name), node });

describe("the size of a directory", () => {
  const directory = makeDirectory([entry("a", child(5n)), entry("b", child(7n)), entry("c", file(1000n)), entry("d")]);

  test("counts entries once or twice, by the rule, and the sizes of child directories", () => {
    expect(directorySize(directory, "documented")).toBe(4n + 12n);
    expect(directorySize(directory, "doubled")).toBe(8n + 12n);
    expect(directorySize({ entries: [] }, "doubled")).toBe(0n);
  });

  test("tells the rule", () => {
    expect(sizeRulesOf(directory, 16n)).toEqual(["documented"]);
    expect(sizeRulesOf(directory, 20n)).toEqual(["doubled"]);
    expect(sizeRulesOf(directory, 17n)).toEqual([]);
    expect(sizeRulesOf({ entries: [] }, 0n)).toEqual(["documented", "doubled"]);
  });

  test("fits in 64 bits", () => {
    checkDirectory({ entries: [entry("a", child(MAX_UINT64 - 2n)), entry("b")] });
    expect(() => checkDirectory({ entries: [entry("a", child(MAX_UINT64 - 1n)), entry("b")] })).toThrow(invalid);
    expect(() => makeDirectory([entry("a", child(MAX_UINT64))])).toThrow(invalid);
    checkDirectory({ entries: [entry("a", file(MAX_UINT64)), entry("b", file(MAX_UINT64))] });
  });
});

describe("the entries of a directory", () => {
  test("are sorted by the bytes of their names, in a new list", () => {
    const entries = ["b", "ä", "a-b", "a", "B", "ab", "a.b"].map((name) => entry(name));
    const names = makeDirectory(entries).entries.map(({ name }) => new TextDecoder().decode(name));
    expect(names).toEqual(["B", "a", "a-b", "a.b", "ab", "b", "ä"]);
    expect(new TextDecoder().decode(entries[0]?.name)).toBe("b");
  });

  test.each<[string, DirectoryEntry[]]>([
    ["one name twice", [entry("a"), entry("a", child(0n))]],
    ["a wrong order", [entry("b"), entry("a")]],
    ["a wrong order at the end", [entry("a"), entry("c"), entry("b")]],
    ["a bad name", [entry("a"), entry("a/b")]],
    ["a bad node", [entry("a"), entry("b", { kind: "symlink", target: utf8("") })]],
  ])("are refused with %s", (_, entries) => {
    expect(() => checkDirectory({ entries })).toThrow(invalid);
  });

  test("are found by their names", () => {
    for (let count = 0; count <= 9; count++) {
      const directory = makeDirectory(Array.from({ length: count }, (_, i) => entry(`n${2 * i}`)));
      for (let i = -1; i <= 2 * count; i++) {
        const name = utf8(`n${i}`);
        const found = directory.entries.find((candidate) => candidate.name.join() === name.join());
        expect(findEntry(directory, name)).toBe(found);
      }
    }
  });

  test("that are directories are all listed, in order", () => {
    const directory = makeDirectory([entry("c", child(3n)), entry("b"), entry("d", file(9n)), entry("a", child(1n))]);
    expect(childDirectories(directory)).toEqual([child(1n), child(3n)]);
  });
});
