import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { type Directory, type DirectoryEntry, makeDirectory } from "../../src/castore/directory.ts";
import { decodeDirectory, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { isStoreError } from "../../src/error.ts";
import { directoryFromMessage, directoryToMessage } from "../../src/wire/directory-message.ts";
import { DirectorySchema as SnixDirectorySchema } from "../../src/wire/gen/snix/castore/v1/castore_pb.ts";
import { DirectorySchema } from "../../src/wire/gen/tvix/castore/v1/castore_pb.ts";
import { randomNode, randomNumbers } from "./random-nodes.ts";

function randomDirectory(random: (below: number) => number): Directory {
  const entries = new Map<string, DirectoryEntry>();
  for (let i = random(12); i > 0; i--) {
    const name = Uint8Array.from({ length: 1 + random(6) }, () => 48 + random(208));
    entries.set(name.join(), { name, node: randomNode(random) });
  }
  return makeDirectory(entries.values());
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}

const someDigest = digestOf(utf8("some"));

describe.each([
  ["tvix", DirectorySchema],
  ["snix", SnixDirectorySchema],
] as const)("Directory of %s", (_family, schema) => {
  test("encodes and decodes like castore's own codec", () => {
    const random = randomNumbers(1);
    for (let i = 0; i < 300; i++) {
      const directory = randomDirectory(random);
      const bytes = encodeDirectory(directory);
      // `create` accepts the same plain object for either family, but its type requires naming one
      // schema.
      expect(toBinary(schema, create(schema as typeof DirectorySchema, directoryToMessage(directory)) as never)).toEqual(bytes);
      expect(directoryFromMessage(fromBinary(schema as typeof DirectorySchema, bytes))).toEqual(directory);
      expect(decodeDirectory(bytes)).toEqual(directory);
    }
  });

  test("refuses the bytes that castore's codec refuses", () => {
    const bytes = (...fields: [number, Uint8Array][]) => {
      const writer = new BinaryWriter();
      for (const [field, value] of fields) writer.tag(field, WireType.LengthDelimited).bytes(value);
      return writer.finish();
    };
    const symlink = (name: string, target = "t") => bytes([1, utf8(name)], [2, utf8(target)]);
    const file = (name: string) => bytes([1, utf8(name)], [2, someDigest]);
    const bad: Record<string, Uint8Array> = {
      "an unknown field": bytes([3, symlink("a")], [9, utf8("?")]),
      "an unknown field in a node": bytes([3, bytes([1, utf8("a")], [2, utf8("t")], [7, utf8("?")])]),
      "names out of order": bytes([3, symlink("b")], [3, symlink("a")]),
      "a name twice": bytes([3, symlink("a")], [3, symlink("a")]),
      "a name twice in different lists": bytes([2, file("a")], [3, symlink("a")]),
      "no name": bytes([3, symlink("")]),
      "a name with a slash": bytes([3, symlink("a/b")]),
      "the name ..": bytes([3, symlink("..")]),
      "a name with NUL": bytes([3, symlink("a\0")]),
      "a name of 256 bytes": bytes([3, symlink("a".repeat(256))]),
      "no target": bytes([3, symlink("a", "")]),
      "a target of 4096 bytes": bytes([3, symlink("a", "t".repeat(4096))]),
      "a short digest": bytes([2, bytes([1, utf8("a")], [2, someDigest.subarray(1)])]),
    };
    for (const [what, message] of Object.entries(bad)) {
      const structural = codeOf(() => directoryFromMessage(fromBinary(schema as typeof DirectorySchema, message)));
      expect([what, structural]).toEqual([what, "invalid"]);
      expect([what, codeOf(() => decodeDirectory(message))]).toEqual([what, "invalid"]);
    }
  });

  test("refuses sizes that add up to more than 64 bits", () => {
    const node = (name: string) => ({ name: utf8(name), digest: someDigest, size: 2n ** 63n });
    const message = create(schema as typeof DirectorySchema, { directories: [node("a"), node("b")] });
    expect(codeOf(() => directoryFromMessage(message))).toBe("invalid");
  });
});
