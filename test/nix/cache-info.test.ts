import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CACHE_INFO_MAX_LENGTH, formatCacheInfo, parseCacheInfo } from "../../src/nix/cache-info.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

test("the file of a cache that Nix made is read", () => {
  const text = readFileSync(new URL("../fixtures/nix-2.34/cache/nix-cache-info", import.meta.url), "utf8");
  expect(text).toBe("StoreDir: /nix/store\n");
  expect(parseCacheInfo(text)).toEqual({ storeDir: "/nix/store", wantMassQuery: false, priority: undefined });
});

test("every field is read, with any blanks, and written as Nix does", () => {
  const info = { storeDir: "/other/store", wantMassQuery: true, priority: 40 };
  const text = "StoreDir: /other/store\nWantMassQuery: 1\nPriority: 40\n";
  expect(parseCacheInfo(text)).toEqual(info);
  expect(formatCacheInfo(info)).toBe(text);
  expect(parseCacheInfo("Priority:40\r\n\nStoreDir:   /other/store \nWantMassQuery:1")).toEqual(info);
  expect(formatCacheInfo({ storeDir: "/nix/store", wantMassQuery: false })).toBe("StoreDir: /nix/store\nWantMassQuery: 0\n");
});

test("missing fields have Nix's defaults, and unknown fields are ignored", () => {
  const empty = { storeDir: "/nix/store", wantMassQuery: false, priority: undefined };
  for (const text of ["", "\n\n", "Sky: blue\n", "storedir: /x\n", "WantMassQuery: true\n", "WantMassQuery: 0\n"])
    expect(parseCacheInfo(text)).toEqual(empty);
});

test.each([
  ["0", 0],
  ["-1", -1],
  ["999999999", 999_999_999],
])("the priority %s is read", (text, priority) => {
  expect(parseCacheInfo(`Priority: ${text}\n`).priority).toBe(priority);
});

test.each(["Priority:", "Priority: x", "Priority: 1.5", "Priority: 1000000000", "Priority: 1e3", "StoreDir", ": x", "<html>"])(
  "refused: %j",
  (line) => {
    expect(() => parseCacheInfo(`${line}\n`)).toThrow(invalid);
  },
);

test("a file may have the maximum length, and no more", () => {
  const line = "StoreDir: /x";
  expect(parseCacheInfo(line + "\n".repeat(CACHE_INFO_MAX_LENGTH - line.length)).storeDir).toBe("/x");
  expect(() => parseCacheInfo(line + "\n".repeat(CACHE_INFO_MAX_LENGTH + 1 - line.length))).toThrow(invalid);
});
