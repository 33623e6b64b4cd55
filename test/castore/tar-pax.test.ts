import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { TarFault } from "../../src/castore/tar-header.ts";
import { PaxReader } from "../../src/castore/tar-pax.ts";
import { record } from "./tar-builder.ts";

/** Reads a header in pieces of each length, which must not matter, and returns its attributes. */
function read(text: string | Uint8Array, lengths = [1, 3, 1_000_000]): Record<string, unknown> {
  const bytes = typeof text === "string" ? utf8(text) : text;
  const results = lengths.map((length) => {
    const reader = new PaxReader();
    for (let at = 0; at < bytes.length; at += length) reader.push(bytes.subarray(at, at + length));
    reader.end();
    const { path, linkPath, sparseName, sparse, ...numbers } = reader.attributes;
    const names = Object.entries({ path, linkPath, sparseName }).filter(([, name]) => name !== undefined);
    return {
      ...numbers,
      ...Object.fromEntries(names.map(([key, name]) => [key, Buffer.from(name as Uint8Array).toString()])),
      ...(sparse && {
        sparse: { size: sparse.size, version: [sparse.major, sparse.minor], segments: [...sparse.offsets, ...sparse.lengths] },
      }),
    };
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0] as Record<string, unknown>;
}

const records = (...pairs: [key: string, value: string][]): string => pairs.map(([key, value]) => record(key, value)).join("");
const sparse = (size: number | undefined, version: number[], segments: number[]) => ({ sparse: { size, version, segments } });

describe("the key", () => {
  test.each<[string, string, Record<string, unknown>]>([
    ["path", "d/a", { path: "d/a" }],
    ["linkpath", "b", { linkPath: "b" }],
    ["size", "12", { size: 12 }],
    ["SCHILY.realsize", "13", { starSize: 13 }],
    ["GNU.sparse.name", "s", { sparseName: "s" }],
    ["GNU.sparse.size", "14", sparse(14, [0, 0], [])],
    ["GNU.sparse.realsize", "15", sparse(15, [0, 0], [])],
    ["GNU.sparse.major", "1", sparse(undefined, [1, 0], [])],
    ["GNU.sparse.minor", "2", sparse(undefined, [0, 2], [])],
    ["GNU.sparse.map", "1,2,5,3", sparse(undefined, [0, 0], [1, 5, 2, 3])],
    ["GNU.sparse.offset", "5", {}],
    ["mtime", "5", {}],
    ["Path", "d/a", {}],
    ["comment", "path=x", {}],
  ])("%s", (key, value, expected) => {
    expect(read(record(key, value))).toEqual(expected);
  });

  test("of the longest length that is kept is compared as a whole, and a longer one changes nothing", () => {
    for (const length of [511, 512, 513, 2000])
      expect(read(records(["k".repeat(length), "v"], ["path", "a"]))).toEqual({ path: "a" });
  });

  test("may be empty", () => {
    expect(read(records(["", "v"], ["path", "a"]))).toEqual({ path: "a" });
  });
});

describe("values", () => {
  test("if a record comes several times, the last one counts, except for records of segments", () => {
    expect(read(records(["size", "1"], ["size", "2"], ["path", "a"], ["path", "b"]))).toEqual({ size: 2, path: "b" });
    const segment = (offset: string, length: string): [string, string][] => [
      ["GNU.sparse.offset", offset],
      ["GNU.sparse.numbytes", length],
    ];
    expect(read(records(...segment("1", "2"), ...segment("7", "3")))).toEqual(sparse(undefined, [0, 0], [1, 7, 2, 3]));
  });

  test("a length belongs to one offset only", () => {
    const twice = records(["GNU.sparse.offset", "1"], ["GNU.sparse.numbytes", "2"], ["GNU.sparse.numbytes", "3"]);
    expect(() => read(twice)).toThrow(TarFault);
    expect(() => read(record("GNU.sparse.numbytes", "3"))).toThrow(TarFault);
  });

  test("names end at a NUL", () => {
    expect(read(records(["path", "a\0b"], ["linkpath", "c\0"], ["GNU.sparse.name", "\0d"]))).toEqual({
      path: "a",
      linkPath: "c",
      sparseName: "",
    });
  });

  test("an empty number changes nothing", () => {
    expect(read(records(["size", "3"], ["size", ""]))).toEqual({ size: 3 });
  });

  test.each<[string, number]>([
    [" \t7", 7],
    ["7.5", 7],
    ["007x", 7],
    [String(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER],
  ])("the number %j is %d", (value, size) => {
    expect(read(record("size", value))).toEqual({ size });
  });

  test.each(["x", " ", "-1", "\n1", "9007199254740992"])("the number %j is refused", (value) => {
    expect(() => read(record("size", value))).toThrow(TarFault);
  });

  test("of keys that matter have at most a MiB, others any length", () => {
    const most = 1024 * 1024;
    expect(read(record("path", "n".repeat(most)), [most * 2])).toEqual({ path: "n".repeat(most) });
    expect(() => read(record("path", "n".repeat(most + 1)), [most * 2])).toThrow(TarFault);
    expect(read(record("comment", "n".repeat(most + 1)), [1000])).toEqual({});
  });
});

describe("the length of a record", () => {
  test("may have 24 digits", () => {
    expect(read(`${"29".padStart(24, "0")} a=b\n`)).toEqual({});
    expect(() => read(`${"30".padStart(25, "0")} a=b\n`)).toThrow(TarFault);
  });

  test("is at least that of a key and an empty value", () => {
    expect(read("5 a=\n")).toEqual({});
    expect(() => read("4 =\n")).toThrow(TarFault);
    expect(() => read("4 a\n")).toThrow(TarFault);
  });

  test.each([
    ["a key without a value", "6 abc\n"],
    ["a value that ends with another byte", "6 a=bc"],
    ["a byte that is no digit", "x a=b\n"],
    ["a byte after the digits", "6xa=b\n"],
    ["nothing after the digits", "6"],
    ["nothing after the blank", "6 "],
    ["nothing after the key", "6 a"],
    ["nothing after the equals sign", "6 a="],
    ["no end", "6 a=b"],
  ])("%s is refused", (_, text) => {
    expect(() => read(text)).toThrow(TarFault);
  });
});

describe("records that libarchive ignores", () => {
  const path = record("path", "p");

  test.each([
    ["a NUL in place of a record", `${path}\0`],
    ["a NUL before all records", `\0${path}`],
    ["a blank before a record", `${path} 7 a=b\n`],
    ["a tab after a length", `${path}6\ta=b\n`],
  ])("%s ends what counts, and no name counts", (_, text) => {
    expect(read(text + record("size", "5"))).toEqual({});
  });

  test("numbers before them count, numbers after them don't", () => {
    expect(read(`${record("size", "3")}6\ta=b\n${record("size", "5")}`)).toEqual({ size: 3 });
    expect(read(`${record("size", "3")}\0${record("size", "5")}`)).toEqual({ size: 3 });
  });

  test("must still be records", () => {
    expect(() => read("6\ta=b\n6 a=bc")).toThrow(TarFault);
    expect(() => read("6\ta=b\n6")).toThrow(TarFault);
  });
});
