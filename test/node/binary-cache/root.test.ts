import { expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { makeDirectory } from "../../../src/castore/directory.ts";
import { directoryNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { hasRoot, requireRoot } from "../../../src/node/binary-cache/root.ts";

const { signal } = new AbortController();

test("a root is there if its blob or directory is; the content beneath doesn't matter", async () => {
  const store = createMemoryStore();
  const file: Node = { kind: "file", digest: digestOf(utf8("content")), size: 7n, executable: false };
  const directory = makeDirectory([{ name: utf8("file"), node: file }]);
  const nodes: Node[] = [file, directoryNode(directory, "documented")];
  for (const node of nodes) {
    expect(await hasRoot(store, node, signal)).toBe(false);
    await expect(requireRoot(store, node, signal)).rejects.toMatchObject({ name: "StoreError", code: "not-found" });
  }
  await store.directories.put([directory]);
  expect(await Promise.all(nodes.map((node) => hasRoot(store, node, signal)))).toEqual([false, true]);
  await store.blobs.putMany([utf8("content")]);
  for (const node of [...nodes, { kind: "symlink", target: utf8("x") } as const]) {
    expect(await hasRoot(store, node, signal)).toBe(true);
    await requireRoot(store, node, signal);
  }
});
