import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { type IngestedTree, ingestEntries } from "../../src/castore/ingest.ts";
import { narEntries } from "../../src/castore/nar-entries.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { pieces } from "../setup/pieces.ts";

async function ingest(bytes: Uint8Array, size = 65_536, store = createMemoryStore()): Promise<IngestedTree> {
  const uploader = new BlobUploader(store.blobs);
  return ingestEntries(store, uploader, narEntries(pieces(bytes, size), uploader));
}

/** The bytes of a NAR that `write` writes. */
function narOf(write: (writer: NarWriter) => void): Uint8Array {
  const parts: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
  write(writer);
  writer.end();
  return concatBytes(parts);
}

function addFile(writer: NarWriter, name: string, content: Uint8Array, executable = false): void {
  writer.entry(utf8(name));
  writer.file(content.length, executable);
  writer.content(content);
  writer.endFile();
}

/** An uploader that counts how often the source waits for it. */
class Uploads extends BlobUploader {
  drained = 0;
  override async drain(): Promise<void> {
    this.drained++;
    await super.drain();
  }
}

test("entries come with their paths, depth first, and files with their contents", async () => {
  const nar = narOf((writer) => {
    writer.directory();
    writer.entry(utf8("a"));
    writer.directory();
    addFile(writer, "x", utf8("run"), true);
    addFile(writer, "y", utf8("read"));
    writer.leave();
    writer.entry(utf8("b"));
    writer.symlink(utf8("a/x"));
    writer.entry(utf8("c"));
    writer.directory();
    writer.leave();
    writer.leave();
  });
  const store = createMemoryStore();
  const uploader = new Uploads(store.blobs);
  const entries: unknown[] = [];
  for await (const some of narEntries(pieces(nar, 100), uploader)) {
    for (const { path, ...entry } of some)
      entries.push({ path: path.map((name) => Buffer.from(name).toString()).join("/"), ...entry });
  }
  await uploader.flush();
  const contents = (text: string) => ({ size: text.length, digest: digestOf(utf8(text)) });
  expect(entries).toEqual([
    { path: "a/x", kind: "file", executable: true, contents: contents("run") },
    { path: "a/y", kind: "file", executable: false, contents: contents("read") },
    { path: "a", kind: "directory" },
    { path: "b", kind: "symlink", target: utf8("a/x") },
    { path: "c", kind: "directory" },
    { path: "", kind: "directory" },
  ]);
  // After each piece, and by `flush`.
  expect(uploader.drained).toBe(Math.ceil(nar.length / 100) + 1);
});

test.each<[string, (writer: NarWriter) => void, object]>([
  ["a symlink", (writer) => writer.symlink(utf8("t")), { kind: "symlink", target: utf8("t") }],
  [
    "an empty file",
    (writer) => {
      writer.file(0, true);
      writer.endFile();
    },
    { kind: "file", size: 0n, executable: true },
  ],
])("the root may be %s", async (_, write, expected) => {
  const { node, narSize } = await ingest(narOf(write));
  expect(node).toMatchObject(expected);
  expect(narSize).toBe(narOf(write).length);
});

test("gives the same tree for pieces of any length", async () => {
  const nar = await readFile(new URL("../fixtures/nars/nested.nar", import.meta.url));
  const root = await ingest(nar);
  for (const size of [1, 7, 8, 100]) expect(await ingest(nar, size)).toEqual(root);
});

test("holds a large file between small ones", async () => {
  const large = new Uint8Array(3_000_000).map((_, i) => (i * i) >>> 7);
  const nar = narOf((writer) => {
    writer.directory();
    addFile(writer, "a", utf8("a"));
    addFile(writer, "b", large);
    addFile(writer, "c", utf8("c"));
    writer.leave();
  });
  const store = createMemoryStore();
  const { node: root } = await ingest(nar, 100_000, store);
  const found = root.kind === "directory" ? await store.directories.get(root.digest) : undefined;
  const b = found?.entries[1]?.node;
  expect(b).toMatchObject({ kind: "file", size: 3_000_000n });
  if (b?.kind !== "file") throw new Error("not a file");
  const stream = await store.blobs.open(b.digest);
  const read = Buffer.from(await new Response(stream).arrayBuffer());
  expect(read.equals(large)).toBe(true);
});

test.each([
  ["that is cut short", (nar: Uint8Array) => nar.subarray(0, -8)],
  ["that has bytes after its end", (nar: Uint8Array) => Buffer.concat([nar, new Uint8Array(8)])],
  ["of no bytes", () => new Uint8Array(0)],
])("refuses a NAR %s", async (_, change) => {
  const nar = narOf((writer) => writer.symlink(utf8("t")));
  await expect(ingest(change(nar))).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
});

test("an abort ends the reading with its reason", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const nar = narOf((writer) => {
    writer.directory();
    addFile(writer, "a", new Uint8Array(1000));
    writer.leave();
  });
  let read = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces(nar, 100)) {
      if (++read === 3) controller.abort(reason);
      yield piece;
    }
  };
  const uploader = new BlobUploader(createMemoryStore().blobs);
  const all = async (): Promise<void> => {
    for await (const _ of narEntries(source(), uploader, { signal: controller.signal })) {
      // Entries before the abort don't matter.
    }
  };
  await expect(all()).rejects.toBe(reason);
  expect(read).toBe(3);
});
