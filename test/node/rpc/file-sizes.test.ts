import { beforeEach, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { makeDirectory } from "../../../src/castore/directory.ts";
import { directoryNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { StoreError } from "../../../src/error.ts";
import { checkFileSizes } from "../../../src/node/rpc/file-sizes.ts";
import type { LocalStoreServices } from "../../../src/store/services.ts";

const { signal } = new AbortController();
const INVALID = { name: "StoreError", code: "invalid" };

let store: LocalStoreServices;
beforeEach(async () => {
  store = createMemoryStore();
  await store.blobs.putMany([utf8("hello"), utf8("other")]);
});

const file = (text: string, size = text.length): Node => ({
  ...{ kind: "file", digest: digestOf(utf8(text)), size: BigInt(size), executable: false },
});

/** Stores a directory in a directory. The inner one has these nodes. */
async function treeOf(...nodes: Node[]): Promise<Node> {
  const inner = makeDirectory(nodes.map((node, i) => ({ name: utf8(`${i}`), node })));
  const outer = makeDirectory([{ name: utf8("inner"), node: directoryNode(inner, "documented") }]);
  await store.directories.put([inner, outer]);
  return directoryNode(outer, "documented");
}

test("files of the right sizes are fine, and missing ones are skipped", async () => {
  for (const node of [file("hello"), file("missing"), { kind: "symlink", target: utf8("x") } as const])
    await checkFileSizes(store, node, signal);
  await checkFileSizes(store, await treeOf(file("hello"), file("missing"), file("other")), signal);
  await checkFileSizes(store, { kind: "directory", digest: digestOf(utf8("missing")), size: 1n }, signal);
});

test.each([4, 6, 0])("a file of 5 bytes whose node states %d is invalid", async (size) => {
  await expect(checkFileSizes(store, file("hello", size), signal)).rejects.toMatchObject(INVALID);
  await expect(checkFileSizes(store, await treeOf(file("other"), file("hello", size)), signal)).rejects.toMatchObject(INVALID);
});

test("a file that occurs twice is read once for each size", async () => {
  const open = vi.spyOn(store.blobs, "open");
  await checkFileSizes(store, await treeOf(file("hello"), file("hello"), file("other")), signal);
  expect(open).toHaveBeenCalledTimes(2);
  await expect(checkFileSizes(store, await treeOf(file("hello"), file("hello", 4)), signal)).rejects.toMatchObject(INVALID);
});

test("a file that can't be read is reported as the store reports it", async () => {
  const corrupt = new StoreError("corrupt", "the blob is spoilt");
  vi.spyOn(store.blobs, "open").mockRejectedValue(corrupt);
  await expect(checkFileSizes(store, file("hello"), signal)).rejects.toBe(corrupt);
});

test("an abort rejects with its reason", async () => {
  const aborted = AbortSignal.abort(new Error("enough"));
  await expect(checkFileSizes(store, file("hello"), aborted)).rejects.toBe(aborted.reason);
});
