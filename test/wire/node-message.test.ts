import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { decodeNode, encodeNode } from "../../src/castore/directory-codec.ts";
import { isStoreError } from "../../src/error.ts";
import { EntrySchema } from "../../src/wire/gen/snix/castore/v1/castore_pb.ts";
import { NodeSchema } from "../../src/wire/gen/tvix/castore/v1/castore_pb.ts";
import {
  directoryEntry,
  fileEntry,
  type NodeOneof,
  nodeFromMessage,
  nodeToOneof,
  symlinkEntry,
} from "../../src/wire/node-message.ts";
import { randomNode, randomNumbers } from "./random-nodes.ts";

const digest = digestOf(utf8("some"));

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}

describe("Node", () => {
  test("encodes and decodes like castore's own codec, under both names", () => {
    const random = randomNumbers(2);
    for (let i = 0; i < 100; i++) {
      const entry = { name: utf8(`name${i}`), node: randomNode(random) };
      const oneof = nodeToOneof(entry.node, entry.name);
      const bytes = encodeNode(entry.name, entry.node);
      expect(toBinary(NodeSchema, create(NodeSchema, { node: oneof }))).toEqual(bytes);
      expect(toBinary(EntrySchema, create(EntrySchema, { entry: oneof }))).toEqual(bytes);
      expect(nodeFromMessage(fromBinary(NodeSchema, bytes))).toEqual(entry);
      expect(nodeFromMessage(fromBinary(EntrySchema, bytes))).toEqual(entry);
      expect(decodeNode(bytes)).toEqual(entry);
    }
  });

  test("requires a name unless the caller does not need one", () => {
    const message = create(NodeSchema, { node: nodeToOneof({ kind: "symlink", target: utf8("t") }) });
    expect(codeOf(() => nodeFromMessage(message))).toBe("invalid");
    expect(nodeFromMessage(message, { unnamed: true }).name).toHaveLength(0);
  });

  test("refuses a missing or empty node, and one with unknown fields", () => {
    expect(codeOf(() => nodeFromMessage(undefined))).toBe("invalid");
    expect(codeOf(() => nodeFromMessage(create(NodeSchema)))).toBe("invalid");
    const node = encodeNode(utf8("a"), { kind: "symlink", target: utf8("t") });
    const unknown = new BinaryWriter().tag(12, WireType.Varint).uint32(1).finish();
    expect(codeOf(() => nodeFromMessage(fromBinary(NodeSchema, Uint8Array.of(...node, ...unknown))))).toBe("invalid");
  });

  test.each<[string, NodeOneof]>([
    ["a name with a slash", { case: "symlink", value: { name: utf8("a/b"), target: utf8("t") } }],
    ["the name ..", { case: "file", value: { name: utf8(".."), digest, size: 1n, executable: false } }],
    ["an empty target", { case: "symlink", value: { name: utf8("a"), target: utf8("") } }],
    ["a short digest", { case: "file", value: { name: utf8("a"), digest: digest.subarray(1), size: 1n, executable: false } }],
    ["a long digest", { case: "directory", value: { name: utf8("a"), digest: new Uint8Array(33), size: 1n } }],
  ])("refuses %s", (_, oneof) => {
    expect(codeOf(() => nodeFromMessage({ node: oneof }))).toBe("invalid");
    expect(codeOf(() => nodeFromMessage({ entry: oneof }))).toBe("invalid");
  });

  test("refuses unknown fields of each kind of node", () => {
    const $unknown = [{ no: 9, wireType: 0, data: Uint8Array.of(1) }];
    const named = { name: utf8("a"), $unknown };
    expect(codeOf(() => directoryEntry({ ...named, digest, size: 1n }))).toBe("invalid");
    expect(codeOf(() => fileEntry({ ...named, digest, size: 1n, executable: true }))).toBe("invalid");
    expect(codeOf(() => symlinkEntry({ ...named, target: utf8("t") }))).toBe("invalid");
    expect(symlinkEntry({ ...named, target: utf8("t"), $unknown: [] }).name).toEqual(utf8("a"));
  });

  test("shares no memory with the message", () => {
    // A slice of a Buffer is a view, so Node's buffers are the hard case.
    const name = Buffer.from("name");
    const entries = [
      directoryEntry({ name, digest: Buffer.from(digest), size: 1n }),
      fileEntry({ name, digest: Buffer.from(digest), size: 1n, executable: false }),
      symlinkEntry({ name, target: Buffer.from("target") }),
    ];
    name.fill(0);
    for (const { name, node } of entries) {
      expect(name).toEqual(utf8("name"));
      const kept = node.kind === "symlink" ? node.target : node.digest;
      expect([name.buffer.byteLength, kept.buffer.byteLength]).toEqual([name.length, kept.length]);
    }
  });
});
