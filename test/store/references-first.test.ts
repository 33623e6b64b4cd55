import { expect, test } from "vitest";
import { referencesFirst } from "../../src/store/references-first.ts";

const baseName = (name: string): string => `${name.padStart(32, "0")}-${name}`;

/** Sorts the paths of `graph`, whose names are letters. */
function order(graph: Record<string, string>): string {
  const infos = Object.entries(graph).map(([name, references]) => ({
    storePath: `/nix/store/${baseName(name)}`,
    references: references.split("").map(baseName),
  }));
  return referencesFirst(infos)
    .map(({ storePath }) => storePath.at(-1))
    .join("");
}

test.each<[string, Record<string, string>, string]>([
  ["paths without references, by base name", { c: "", a: "", b: "" }, "abc"],
  ["a chain", { a: "b", b: "c", c: "" }, "cba"],
  ["references in the order of base names, whatever their order in the path info", { a: "dcb", b: "", c: "", d: "" }, "bcda"],
  ["a path that refers to itself", { b: "b", a: "ab" }, "ba"],
  ["a reference that is not in the list", { a: "xb", b: "y" }, "ba"],
  ["a diamond, depth first", { a: "bc", b: "d", c: "", d: "" }, "dbca"],
])("sorts %s", (_, graph, expected) => {
  expect(order(graph)).toBe(expected);
});

test("keeps every path of a cycle", () => {
  expect(order({ a: "b", b: "a" }).split("").sort().join("")).toBe("ab");
});
