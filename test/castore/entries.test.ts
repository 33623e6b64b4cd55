import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { ingestEntries } from "../../src/castore/ingest.ts";
import { narEntries } from "../../src/castore/nar-entries.ts";
import type { Node } from "../../src/castore/node.ts";
import { tarEntries } from "../../src/castore/tar-entries.ts";
import { decompressed } from "../../src/compression/decompress.ts";
import { makeTree, type TreeKind, tarOf } from "../fixtures/trees.ts";
import { pieces } from "../setup/pieces.ts";
import { archive, header } from "./tar-builder.ts";

type Reader = typeof narEntries;

async function ingest(bytes: Uint8Array, reader: Reader, size = 65_536, store = createMemoryStore()): Promise<Node> {
  const uploader = new BlobUploader(store.blobs);
  return (await ingestEntries(store, uploader, reader(pieces(bytes, size), uploader))).node;
}

describe("GNU and pax tars of one tree have the same root", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "entries-"));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test.each<TreeKind>(["executables", "symlinks", "empty", "non-utf8", "sort-order", "long-names", "hard-links", "deep"])(
    "%s",
    async (kind) => {
      const path = await makeTree(kind, dir);
      const gnu = await ingest(await tarOf(path), tarEntries, 1000);
      const pax = await ingest(await tarOf(path, { format: "pax" }), tarEntries);
      expect(pax).toEqual(gnu);
    },
  );
});

describe("NAR", () => {
  test("gives the same tree for pieces of any length", async () => {
    const nar = await readFile(new URL("../fixtures/nars/nested.nar", import.meta.url));
    const root = await ingest(nar, narEntries);
    for (const size of [1, 7, 8, 100]) expect(await ingest(nar, narEntries, size)).toEqual(root);
  });

  test("holds a large file between small ones", async () => {
    const { NarWriter } = await import("../../src/nix/nar-writer.ts");
    const parts: Uint8Array[] = [];
    const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
    const large = new Uint8Array(3_000_000).map((_, i) => (i * i) >>> 7);
    writer.directory();
    for (const [name, content] of [
      ["a", utf8("a")],
      ["b", large],
      ["c", utf8("c")],
    ] as const) {
      writer.entry(utf8(name));
      writer.file(content.length, false);
      writer.content(content);
      writer.endFile();
    }
    writer.leave();
    writer.end();
    const store = createMemoryStore();
    const root = await ingest(Buffer.concat(parts), narEntries, 100_000, store);
    const found = root.kind === "directory" ? await store.directories.get(root.digest) : undefined;
    const b = found?.entries[1]?.node;
    expect(b).toMatchObject({ kind: "file", size: 3_000_000n });
    if (b?.kind !== "file") throw new Error("not a file");
    const stream = await store.blobs.open(b.digest);
    const read = Buffer.from(await new Response(stream).arrayBuffer());
    expect(read.equals(large)).toBe(true);
  });
});

describe("compressed archives", () => {
  const tar = archive(header({ name: "d/", type: "5", mode: 0o755 }), header({ name: "d/f", size: 2 }), "hi");
  const read = async (bytes: Uint8Array, size = 1000): Promise<Node> => {
    const store = createMemoryStore();
    const uploader = new BlobUploader(store.blobs);
    return (await ingestEntries(store, uploader, tarEntries(decompressed(pieces(bytes, size)), uploader))).node;
  };

  test("gzip is read, in pieces of any size", async () => {
    const plain = await read(tar);
    for (const size of [1, 10, 1000]) expect(await read(gzipSync(tar), size)).toEqual(plain);
  });

  test.each([
    ["cut short", gzipSync(tar).subarray(0, 40)],
    ["damaged", gzipSync(tar).map((byte, i) => (i === 30 ? byte ^ 255 : byte))],
    ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0])],
  ])("%s is refused", async (_, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: "invalid" });
  });
});
