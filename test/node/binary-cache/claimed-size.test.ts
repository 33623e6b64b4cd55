import { beforeEach, describe, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { EMPTY_BYTES, utf8 } from "../../../src/bytes.ts";
import { type Digest, digestOf } from "../../../src/castore/digest.ts";
import { makeDirectory } from "../../../src/castore/directory.ts";
import { directoryNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { ClaimedSizes } from "../../../src/node/binary-cache/claimed-size.ts";
import { narSize } from "../../../src/store/nar.ts";
import type { LocalStoreServices } from "../../../src/store/services.ts";
import { pseudoRandom } from "../../conformance/content.ts";

const { signal } = new AbortController();
const INVALID = { name: "StoreError", code: "invalid" };
const NOT_FOUND = { name: "StoreError", code: "not-found" };
/** Content of several chunks. */
const LARGE = pseudoRandom(2_000_000, 3);

let store: LocalStoreServices;
let sizes: ClaimedSizes;
beforeEach(() => {
  store = createMemoryStore();
  sizes = new ClaimedSizes(store);
});

const file = (digest: Digest, size: bigint): Node => ({ kind: "file", digest, size, executable: false });
/** Size of the NAR of a file. */
const ofFile = (size: bigint): number => Number(112n + ((size + 7n) / 8n) * 8n);

describe.each([
  ["without content", EMPTY_BYTES],
  ["of one byte", utf8("x")],
  ["of one chunk", utf8("0123456789")],
  ["of several chunks", LARGE],
])("a file %s", (_, content) => {
  const length = BigInt(content.length);
  const digest = digestOf(content);
  beforeEach(async () => {
    await store.blobs.putMany([content]);
  });

  test("is accepted with its size", async () => {
    await sizes.check("x", file(digest, length), ofFile(length), signal);
    await sizes.check("x", file(digest, length), ofFile(length), signal);
    for (const wrong of [ofFile(length) - 8, ofFile(length) + 8])
      await expect(sizes.check("x", file(digest, length), wrong, signal)).rejects.toMatchObject(INVALID);
  });

  test.each([-1_000_000n, -1n, 1n, 8n, 2n ** 49n])("is refused if the node's size is wrong by %d", async (by) => {
    const size = length + by;
    if (size < 0n) return;
    for (let i = 0; i < 2; i++)
      await expect(sizes.check("x", file(digest, size), ofFile(size), signal)).rejects.toMatchObject(INVALID);
  });
});

test("a missing file, or a missing directory, is not found", async () => {
  const digest = digestOf(utf8("missing"));
  await expect(sizes.check("x", file(digest, 7n), ofFile(7n), signal)).rejects.toMatchObject(NOT_FOUND);
  await expect(sizes.check("x", { kind: "directory", digest, size: 1n }, 96, signal)).rejects.toMatchObject(NOT_FOUND);
});

test("the content of a file may vanish between two steps", async () => {
  const [digest = digestOf(EMPTY_BYTES)] = await store.blobs.putMany([utf8("0123456789")]);
  vi.spyOn(store.blobs, "open").mockResolvedValue(undefined);
  await expect(sizes.check("x", file(digest, 10n), ofFile(10n), signal)).rejects.toMatchObject(NOT_FOUND);
});

test("a symlink has the size of its target", async () => {
  const node: Node = { kind: "symlink", target: utf8("x") };
  await sizes.check("x", node, 120, signal);
  await expect(sizes.check("x", node, 112, signal)).rejects.toMatchObject(INVALID);
});

test("a directory is measured once, but has to be there each time", async () => {
  const child = makeDirectory([{ name: utf8("a"), node: file(digestOf(utf8("a")), 1n) }]);
  const root = makeDirectory([{ name: utf8("child"), node: directoryNode(child, "documented") }]);
  await store.directories.put([child, root]);
  const node = directoryNode(root, "documented");
  const size = await narSize(store, node);
  const closures = vi.spyOn(store.directories, "getClosure");
  for (let i = 0; i < 3; i++) await sizes.check("x", node, size, signal);
  await expect(sizes.check("x", node, size + 8, signal)).rejects.toMatchObject(INVALID);
  expect(closures).toHaveBeenCalledOnce();
  // Another key stands for another node.
  await sizes.check("y", node, size, signal);
  expect(closures).toHaveBeenCalledTimes(2);
  vi.spyOn(store.directories, "get").mockResolvedValue(undefined);
  await expect(sizes.check("x", node, size, signal)).rejects.toMatchObject(NOT_FOUND);
});
