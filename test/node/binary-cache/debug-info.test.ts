import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkDebugInfo, DEBUG_INFO_MAX_LENGTH, isDebugInfoName } from "../../../src/node/binary-cache/debug-info.ts";
import { TestCache } from "../test-cache.ts";

test.each([
  ["01", true],
  ["0123456789abcdef.debug", true],
  ["a".repeat(128), true],
  ["a".repeat(129), false],
  ["0", false],
  [".debug", false],
  ["0123.dbg", false],
  ["ABCD.debug", false],
  ["xy.debug", false],
])("%s is the name of an index file: %s", (name, expected) => {
  expect(isDebugInfoName(name)).toBe(expected);
});

describe("an index file names a NAR of this cache and a file in it", () => {
  const archive = `../nar/${"0".repeat(52)}.nar.xz`;

  test.each([
    ["a file", { archive, member: "lib/debug/x.debug" }],
    ["a file with another field", { archive: archive.slice(0, -3), member: "x", more: 1 }],
    ["a file whose name begins with dots", { archive, member: "..x/...y" }],
  ])("%s is accepted", (_, json) => {
    checkDebugInfo(JSON.stringify(json));
  });

  test.each<[string, unknown]>([
    ["a list", []],
    ["null", null],
    ["a number", 1],
    ["no member", { archive }],
    ["no archive", { member: "x" }],
    ["an archive outside of the cache", { archive: "../../x", member: "x" }],
    ["an archive of another form", { archive: "../nar/x", member: "x" }],
    ["an archive elsewhere", { archive: `https://example.org/nar/${"0".repeat(52)}.nar`, member: "x" }],
    ["a member outside of the NAR", { archive, member: "../x" }],
    ["a member that leads out", { archive, member: "a/../../x" }],
    ["a member with a dot", { archive, member: "./x" }],
    ["an empty member", { archive, member: "" }],
    ["an absolute member", { archive, member: "/x" }],
    ["a member that is a directory", { archive, member: "x/" }],
  ])("%s is refused", (_, json) => {
    const refusal = expect.objectContaining({ name: "StoreError", code: "invalid" });
    expect(() => checkDebugInfo(JSON.stringify(json))).toThrow(refusal);
  });

  test("what is no JSON is refused", () => {
    expect(() => checkDebugInfo("{")).toThrow(expect.objectContaining({ name: "StoreError", code: "invalid" }));
  });
});

describe("in a binary cache", () => {
  let cache: TestCache;
  beforeEach(async () => {
    cache = new TestCache();
    await cache.start();
  });
  afterEach(() => cache.close());

  test("debug information is kept by build id, and replaced", async () => {
    const archive = `../nar/${"0".repeat(52)}.nar.xz`;
    const id = "0123456789abcdef0123456789abcdef01234567";
    const address = `/debuginfo/${id}.debug`;
    const put = async (body: string) => (await cache.ask("PUT", address, { body })).status;
    for (const method of ["GET", "HEAD"]) expect((await cache.ask(method, address)).status).toBe(404);
    expect(await put(JSON.stringify({ archive, member: "../x" }))).toBe(400);
    const text = JSON.stringify({ archive, member: `lib/debug/.build-id/01/${id.slice(2)}.debug`, note: "" });
    const padded = text.replace('"note":""', `"note":"${"x".repeat(DEBUG_INFO_MAX_LENGTH - text.length)}"`);
    expect(await put(`${padded} `)).toBe(400);
    expect((await cache.ask("GET", address)).status).toBe(404);
    for (const one of [padded, text]) {
      expect(await put(one)).toBe(201);
      const { status, headers, body } = await cache.ask("GET", address);
      expect([status, headers["content-type"], body.toString()]).toEqual([200, "application/json", one]);
    }
  });
});
