import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { RootToLeavesValidator } from "../../src/castore/directory-closure.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import { type IngestionEntry, ingestEntries } from "../../src/castore/ingest.ts";
import type { DirectoryNode } from "../../src/castore/node.ts";
import { decompressed } from "../../src/compression/decompress.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { calculateNar, narSize } from "../../src/store/nar.ts";
import { expectLinear } from "../setup/processor-time.ts";

/** Small inputs that could take a long time. Limits bound the time by the size of the input. */

function symlink(...path: string[]): IngestionEntry {
  return { kind: "symlink", path: path.map(utf8), target: utf8("x") };
}

async function ingest(entries: AsyncIterable<IngestionEntry> | Iterable<IngestionEntry>) {
  const store = createMemoryStore();
  return ingestEntries(store, new BlobUploader(store.blobs), entries);
}

describe("ingest", () => {
  test("many entries in a deep directory take time in proportion to the depth", async () => {
    const entries = function* (levels: number): Generator<IngestionEntry> {
      const deep = Array.from({ length: levels }, () => utf8("d"));
      for (let i = 0; i < 3000; i++) yield { kind: "symlink", path: [...deep, utf8(`link ${i}`)], target: utf8("x") };
      for (let depth = deep.length; depth >= 0; depth--) yield { kind: "directory", path: deep.slice(0, depth) };
    };
    await expectLinear(1000, (levels) => ingest(entries(levels)));
  });

  test("many entries in a directory that waits for a batch take time in proportion to their number", async () => {
    const entries = function* (count: number, uploader: BlobUploader): Generator<IngestionEntry> {
      for (let i = 0; i < count; i++) yield symlink("first", `link ${i}`);
      uploader.begin();
      uploader.write(utf8("small"));
      yield { kind: "file", path: [utf8("first"), utf8("waits")], executable: false, contents: uploader.end() };
      yield { kind: "directory", path: [utf8("first")] };
      for (let i = 0; i < count; i++) yield symlink(`link ${i}`);
      yield { kind: "directory", path: [] };
    };
    await expectLinear(20_000, (count) => {
      const store = createMemoryStore();
      const uploader = new BlobUploader(store.blobs);
      return ingestEntries(store, uploader, entries(count, uploader));
    });
  });

  test.each<[string, IngestionEntry[]]>([
    ["no root", [symlink("a")]],
    ["something after the root", [{ kind: "directory", path: [] }, symlink("a")]],
    ["a directory that was left and never came", [symlink("a", "b"), symlink("c", "d"), { kind: "directory", path: [] }]],
    ["a root before what is in it was ended", [symlink("a", "b"), { kind: "directory", path: [] }]],
    ["one name twice", [symlink("a"), symlink("a"), { kind: "directory", path: [] }]],
    ["a name with a slash", [symlink("a/b"), { kind: "directory", path: [] }]],
  ])("refuses %s", async (_, entries) => {
    await expect(ingest(entries)).rejects.toMatchObject({ code: "invalid" });
  });
});

test("a closure whose root names one child with three different sizes is refused", () => {
  const child = directoryDigest({ entries: [] });
  const entries = Array.from({ length: 3 }, (_, i) => ({
    name: utf8(`d${i}`),
    node: { kind: "directory", digest: child, size: BigInt(i) } satisfies DirectoryNode,
  }));
  const root = makeDirectory(entries);
  expect(() => new RootToLeavesValidator(directoryDigest(root)).add(root)).toThrowError(
    expect.objectContaining({ code: "corrupt" }),
  );
});

describe("a few directories that form an endless NAR", () => {
  const levels: Directory[] = [makeDirectory([{ name: utf8("l"), node: { kind: "symlink", target: utf8("x") } }])];
  for (let i = 0; i < 40; i++) {
    const below = directoryNode(levels.at(-1) as Directory, "documented");
    levels.push(
      makeDirectory([
        { name: utf8("a"), node: below },
        { name: utf8("b"), node: below },
      ]),
    );
  }
  const node = directoryNode(levels.at(-1) as Directory, "documented");

  test("are measured at once, so a wrong claim is refused at once", async () => {
    const store = createMemoryStore();
    await store.directories.put(levels);
    expect(await narSize(store, node)).toBeGreaterThan(1e12);
    await expect(calculateNar(store, new InlineHashEngine(), node, { claimedSize: 100 })).rejects.toMatchObject({
      code: "corrupt",
    });
  });

  test("can be aborted, and let other tasks run", async () => {
    const store = createMemoryStore();
    await store.directories.put(levels);
    const reason = new Error("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 200);
    await expect(calculateNar(store, new InlineHashEngine(), node, { signal: controller.signal })).rejects.toBe(reason);
  });
});

test("a tar may start with the same bytes as bzip2", async () => {
  const tar = new Uint8Array(512);
  tar.set(utf8("BZh1"));
  const source = async function* () {
    yield tar;
  };
  const read: Uint8Array[] = [];
  for await (const bytes of decompressed(source())) read.push(bytes);
  expect(read).toEqual([tar]);
});
