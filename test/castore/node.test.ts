import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { checkName, checkNode, checkSymlinkTarget, MAX_UINT64, type Node } from "../../src/castore/node.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

describe("the name of an entry", () => {
  test.each(["a", "...", ".a", "..a", "a.", "-", " ", "\\", "ä", "n".repeat(255)])("may be %j", (name) => {
    checkName(utf8(name));
  });

  test("may be other bytes than UTF-8", () => {
    checkName(Uint8Array.of(0xff, 0x01, 0x2e));
  });

  test.each(["", ".", "..", "/", "a/b", "a/", "\0", "a\0b", "n".repeat(256)])("may not be %j", (name) => {
    expect(() => checkName(utf8(name))).toThrow(invalid);
  });
});

describe("the target of a symlink", () => {
  test.each(["t", "/", ".", "..", "t".repeat(4095)])("may be %j", (target) => {
    checkSymlinkTarget(utf8(target));
    checkNode({ kind: "symlink", target: utf8(target) });
  });

  test.each(["", "\0", "a\0b", "t".repeat(4096)])("may not be %j", (target) => {
    expect(() => checkSymlinkTarget(utf8(target))).toThrow(invalid);
    expect(() => checkNode({ kind: "symlink", target: utf8(target) })).toThrow(invalid);
  });
});

describe.each<[string, (size: bigint) => Node]>([
  ["file", (size) => ({ kind: "file", digest: EMPTY_DIGEST, size, executable: false })],
  ["directory", (size) => ({ kind: "directory", digest: EMPTY_DIGEST, size })],
])("the node of a %s", (_, node) => {
  test.each([0n, 1n, MAX_UINT64])("may have the size %d", (size) => {
    checkNode(node(size));
  });

  test.each([-1n, MAX_UINT64 + 1n])("may not have the size %d", (size) => {
    expect(() => checkNode(node(size))).toThrow(invalid);
  });

  test.each([0, 31, 33])("may not have a digest of %d bytes", (length) => {
    const digest = new Uint8Array(length) as typeof EMPTY_DIGEST;
    expect(() => checkNode({ ...node(0n), digest } as Node)).toThrow(invalid);
  });
});
