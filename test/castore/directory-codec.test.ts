import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, utf8 } from "../../src/bytes.ts";
import { digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import {
  decodeDirectory,
  decodeNode,
  directoryDigest,
  directoryNode,
  encodeDirectory,
  encodeNode,
} from "../../src/castore/directory-codec.ts";
import { MAX_UINT64, type Node } from "../../src/castore/node.ts";

/** test/wire/directory-message.test.ts compares the codec with generated code. */

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

type Field = readonly [field: number, value: Uint8Array | number];

function message(...fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, value] of fields) {
    if (typeof value === "number") writer.tag(field, WireType.Varint).uint32(value);
    else writer.tag(field, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

const SOME = digestOf(utf8("some"));
const symlink = (name: string): Uint8Array => message([1, utf8(name)], [2, utf8("t")]);
const file = (name: string): Uint8Array => message([1, utf8(name)], [2, SOME]);

describe("a node", () => {
  test.each<[string, Node]>([
    ["a file without size", { kind: "file", digest: SOME, size: 0n, executable: false }],
    ["an executable without size", { kind: "file", digest: SOME, size: 0n, executable: true }],
    ["a file of the largest size", { kind: "file", digest: SOME, size: MAX_UINT64, executable: true }],
    ["a directory without size", { kind: "directory", digest: EMPTY_DIGEST, size: 0n }],
    ["a directory of the largest size", { kind: "directory", digest: SOME, size: MAX_UINT64 }],
    ["a symlink", { kind: "symlink", target: utf8("t".repeat(4095)) }],
  ])("is the same after encoding and decoding: %s", (_, node) => {
    for (const name of [EMPTY_BYTES, utf8("n"), utf8("n".repeat(255))])
      expect(decodeNode(encodeNode(name, node))).toEqual({ name, node });
  });

  test("has bytes of its own, so a change of the message doesn't change it", () => {
    const bytes = encodeNode(utf8("n"), { kind: "symlink", target: utf8("t") });
    const decoded = decodeNode(bytes);
    bytes.fill(0);
    expect(decoded).toEqual({ name: utf8("n"), node: { kind: "symlink", target: utf8("t") } });
  });

  test("may have fields in another order, and default values", () => {
    const fields = message([4, 0], [3, 0], [2, SOME], [1, utf8("n")]);
    expect(decodeNode(message([2, fields]))).toEqual({
      name: utf8("n"),
      node: { kind: "file", digest: SOME, size: 0n, executable: false },
    });
  });

  test.each<[string, Uint8Array]>([
    ["nothing", EMPTY_BYTES],
    ["two nodes", message([3, symlink("a")], [3, symlink("a")])],
    ["two kinds of nodes", message([2, file("a")], [3, symlink("a")])],
    ["an unknown kind", message([4, symlink("a")])],
    ["a kind of another wire type", message([3, 1])],
    ["a bad name", message([3, symlink("a/b")])],
    ["a bad target", message([3, message([1, utf8("a")], [2, utf8("a\0")])])],
    ["a name of another wire type", message([3, message([1, 1], [2, utf8("t")])])],
    ["a target of another wire type", message([3, message([1, utf8("a")], [2, 1])])],
    ["a size of another wire type", message([2, message([2, SOME], [3, utf8("1")])])],
    ["an executable bit of another wire type", message([2, message([2, SOME], [4, utf8("1")])])],
    // The value of each of these fields could be read as a value of the right type.
    ["a number in place of no name", message([3, message([2, utf8("t")], [1, 0])])],
    ["a number in place of a target", message([3, Uint8Array.of(0x10, 1, 0x74)])],
    ["no bytes in place of a size", message([2, message([2, SOME], [3, EMPTY_BYTES])])],
    ["no bytes in place of an executable bit", message([2, message([2, SOME], [4, EMPTY_BYTES])])],
    ["a symlink with a size", message([3, message([2, utf8("t")], [3, 1])])],
    ["a symlink with an executable bit", message([3, message([2, utf8("t")], [4, 1])])],
    ["a directory with an executable bit", message([1, message([2, SOME], [4, 1])])],
    ["an unknown field", message([2, message([2, SOME], [5, 1])])],
    ["a file without a digest", message([2, message([1, utf8("a")])])],
    ["a message that is cut short", message([3, symlink("a")]).subarray(0, -1)],
    ["a field that is cut short", message([3, symlink("a").subarray(0, -1)])],
    ["bytes that are no message", Uint8Array.of(0xff, 0xff, 0xff)],
  ])("is refused: %s", (_, bytes) => {
    expect(() => decodeNode(bytes)).toThrow(invalid);
  });
});

describe("a directory", () => {
  test("has its entries in one list, whatever their kinds", () => {
    const bytes = message([3, symlink("a")], [3, symlink("d")], [2, file("b")], [1, file("c")]);
    const names = decodeDirectory(bytes).entries.map(({ name }) => new TextDecoder().decode(name));
    expect(names).toEqual(["a", "b", "c", "d"]);
  });

  test.each<[string, Uint8Array]>([
    [
      "names out of order within a kind, though another kind is between them",
      message([3, symlink("b")], [2, file("c")], [3, symlink("a")]),
    ],
    ["one name in two kinds", message([1, file("a")], [2, file("a")])],
    ["no name", message([3, symlink("")])],
    ["an unknown field", message([4, symlink("a")])],
    ["a field of another wire type", message([1, 1])],
    ["a message that is cut short", message([3, symlink("a")]).subarray(0, -1)],
  ])("is refused: %s", (_, bytes) => {
    expect(() => decodeDirectory(bytes)).toThrow(invalid);
  });

  test("is encoded and hashed once", () => {
    const directory = decodeDirectory(message([3, symlink("a")]));
    expect(encodeDirectory(directory)).toBe(encodeDirectory(directory));
    expect(directoryDigest(directory)).toBe(directoryDigest(directory));
    expect(directoryDigest(directory)).toEqual(digestOf(message([3, symlink("a")])));
  });

  test("without entries has no bytes", () => {
    expect(encodeDirectory({ entries: [] })).toHaveLength(0);
    expect(directoryDigest({ entries: [] })).toEqual(EMPTY_DIGEST);
    expect(decodeDirectory(EMPTY_BYTES)).toEqual({ entries: [] });
  });

  test("is referred to with its size by the rule", () => {
    const directory = makeDirectory([{ name: utf8("a"), node: { kind: "symlink", target: utf8("t") } }]);
    const digest = directoryDigest(directory);
    expect(directoryNode(directory, "documented")).toEqual({ kind: "directory", digest, size: 1n });
    expect(directoryNode(directory, "doubled")).toEqual({ kind: "directory", digest, size: 2n });
  });
});
