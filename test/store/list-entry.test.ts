import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import { listEntry } from "../../src/store/list-entry.ts";

const digest = digestOf(utf8("x"));

test.each<[string, Node, object]>([
  ["a file", { kind: "file", digest, size: 7n, executable: false }, { kind: "file", size: 7, executable: false, digest }],
  ["an executable", { kind: "file", digest, size: 0n, executable: true }, { kind: "file", size: 0, executable: true, digest }],
  ["a directory", { kind: "directory", digest, size: 3n }, { kind: "directory", size: 3, executable: false, digest }],
  [
    "a symlink",
    { kind: "symlink", target: utf8("bin/ä") },
    { kind: "symlink", size: 6, executable: false, target: "bin/ä", targetBytes: utf8("bin/ä") },
  ],
])("%s is shown", (_, node, expected) => {
  expect(listEntry({ name: utf8("name"), node })).toEqual({ name: "name", nameBytes: utf8("name"), ...expected });
});

test("bytes that are not UTF-8 are shown in some way, and kept beside", () => {
  const bytes = Uint8Array.of(0x61, 0xff);
  const entry = listEntry({ name: bytes, node: { kind: "symlink", target: bytes } });
  expect(entry).toMatchObject({ name: "a\ufffd", nameBytes: bytes, target: "a\ufffd", targetBytes: bytes });
});
