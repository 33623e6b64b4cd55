import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import {
  NAR_MAX_NAME_LENGTH,
  NAR_MAX_TARGET_LENGTH,
  narNameProblem,
  narPaddingLength,
  narPath,
  narTargetProblem,
  narTokenSize,
  narTokens,
} from "../../src/nix/nar-grammar.ts";
import { fixture } from "./fixture.ts";

test("a token takes a multiple of eight bytes, and eight for its length", () => {
  expect([0, 1, 7, 8, 9, 2 ** 40 + 1].map(narPaddingLength)).toEqual([0, 7, 1, 0, 7, 7]);
  expect([0, 1, 7, 8, 9].map(narTokenSize)).toEqual([8, 16, 16, 16, 24]);
});

test("a NAR of Nix begins with these tokens", () => {
  const start = narTokens("nix-archive-1", "(", "type", "symlink", "target");
  expect(fixture("symlink.nar").subarray(0, start.length)).toEqual(start);
  expect(narTokens("", "é")).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0, 0, 0));
  expect(narTokens()).toEqual(new Uint8Array(0));
});

test.each(["a", "...", ".a", "..a", "a.", "\\", " ", "\n", "é", "x".repeat(NAR_MAX_NAME_LENGTH)])("a name: %j", (name) => {
  expect(narNameProblem(utf8(name))).toBeUndefined();
});

test.each(["", ".", "..", "/", "a/b", "/a", "a\0", "\0", "x".repeat(NAR_MAX_NAME_LENGTH + 1)])("not a name: %j", (name) => {
  expect(narNameProblem(utf8(name))).toBeTypeOf("string");
});

test("a name need not be UTF-8, and its limit is in bytes", () => {
  expect(narNameProblem(Uint8Array.of(0xff))).toBeUndefined();
  expect(narNameProblem(utf8(`${"é".repeat(127)}x`))).toBeUndefined();
  expect(narNameProblem(utf8("é".repeat(128)))).toBeTypeOf("string");
});

test.each(["a", ".", "..", "/", "a/b", "é", "x".repeat(NAR_MAX_TARGET_LENGTH)])("a target", (target) => {
  expect(narTargetProblem(utf8(target))).toBeUndefined();
});

test.each(["", "\0", "a\0b", "x".repeat(NAR_MAX_TARGET_LENGTH + 1)])("not a target", (target) => {
  expect(narTargetProblem(utf8(target))).toBeTypeOf("string");
});

test("names are joined by slashes", () => {
  const joined = (...names: string[]) => new TextDecoder().decode(narPath(names.map(utf8)));
  expect([joined(), joined("a"), joined("a", "b", "c")]).toEqual(["", "a", "a/b/c"]);
});
