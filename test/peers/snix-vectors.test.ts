import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { toBase64 } from "../../src/bytes.ts";
import { asDigest, digestOf } from "../../src/castore/digest.ts";
import { sizeRulesOf } from "../../src/castore/directory.ts";
import { RootToLeavesValidator } from "../../src/castore/directory-closure.ts";
import { decodeDirectory, directoryDigest, encodeDirectory } from "../../src/castore/directory-codec.ts";
import { importEntries } from "../../src/store/import.ts";
import { DirectorySchema } from "../../src/wire/gen/snix/castore/v1/castore_pb.ts";
import { engine, withSizeRule } from "../store/fixtures.ts";
import { bytesOf, SNIX_TREES, treeEntries } from "./snix-vectors.ts";
import { StrictPeer } from "./strict-peer.ts";

describe.each(SNIX_TREES)("the tree $name, as a real snix-store has it", (expected) => {
  test("is encoded to the same digests by the doubled rule", async () => {
    const store = createMemoryStore();
    const info = await importEntries(withSizeRule(store, "doubled"), engine, (uploader) => treeEntries(expected, uploader), {
      name: expected.name,
    });
    expect(info.storePath).toBe(expected.storePath);
    expect(info.narSize).toBe(expected.narSize);
    expect(info.narHash).toBe(`sha256-${expected.narSha256}`);
    const { node } = info;
    if (node.kind !== "directory") throw new Error("it is a directory");
    expect(toBase64(node.digest)).toBe(expected.rootDigest);
    expect(node.size).toBe(BigInt(expected.rootSize));
    const messages: string[] = [];
    for await (const directory of (await store.directories.getClosure(node.digest)) ?? [])
      messages.push(toBase64(encodeDirectory(directory)));
    expect(messages.sort()).toEqual([...expected.directories].sort());
  });

  test("is read, by the doubled rule alone", () => {
    const validator = new RootToLeavesValidator(asDigest(bytesOf(expected.rootDigest)));
    for (const message of expected.directories) validator.add(decodeDirectory(bytesOf(message)));
    validator.finish();
    const root = decodeDirectory(bytesOf(expected.directories[0] as string));
    expect(sizeRulesOf(root, BigInt(expected.rootSize))).toEqual(["doubled"]);
  });

  test("has the sizes that the stand-in for snix demands", () => {
    const sizes = new Map(
      expected.directories.map((message) => {
        const bytes = bytesOf(message);
        return [toBase64(digestOf(bytes)), StrictPeer.size(fromBinary(DirectorySchema, bytes), 2)];
      }),
    );
    expect(sizes.get(expected.rootDigest)).toBe(BigInt(expected.rootSize));
    for (const message of expected.directories) {
      const directory = decodeDirectory(bytesOf(message));
      expect(toBase64(directoryDigest(directory))).toBe(toBase64(digestOf(bytesOf(message))));
      for (const { node } of directory.entries)
        if (node.kind === "directory") expect(sizes.get(toBase64(node.digest))).toBe(node.size);
    }
  });
});
