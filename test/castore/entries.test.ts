import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import type { Directory } from "../../src/castore/directory.ts";
import { ingestEntries } from "../../src/castore/ingest.ts";
import { narEntries } from "../../src/castore/nar-entries.ts";
import type { Node } from "../../src/castore/node.ts";
import { tarEntries } from "../../src/castore/tar-entries.ts";
import { decompressed } from "../../src/compression/decompress.ts";
import { makeTree, type TreeKind, tarOf } from "../fixtures/trees.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

type Reader = typeof narEntries;

async function ingest(bytes: Uint8Array, reader: Reader, size = 65_536, store = createMemoryStore()): Promise<Node> {
  const uploader = new BlobUploader(store.blobs);
  return ingestEntries(store, uploader, reader(pieces(bytes, size), uploader));
}

interface HeaderFields {
  name: string | Uint8Array;
  type?: string;
  link?: string;
  size?: number;
  mode?: number;
}

/** A tar header, for archives that no tar would write. */
function header({ name, type = "0", link = "", size = 0, mode = 0o644 }: HeaderFields): Uint8Array {
  const block = new Uint8Array(512);
  const put = (offset: number, value: string | Uint8Array) => block.set(typeof value === "string" ? utf8(value) : value, offset);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, octal(mode, 7));
  put(124, octal(size, 11));
  put(148, "        ");
  put(156, type);
  put(157, link);
  put(257, "ustar\u000000");
  put(
    148,
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
  );
  return block;
}

function archive(...blocks: (Uint8Array | string)[]): Uint8Array {
  const padded = blocks.map((block) => {
    if (typeof block !== "string") return block;
    const bytes = new Uint8Array(Math.ceil(block.length / 512) * 512);
    bytes.set(utf8(block));
    return bytes;
  });
  return Buffer.concat([...padded, new Uint8Array(1024)]);
}

const directory = header({ name: "d/", type: "5", mode: 0o755 });

async function contentOf(store: ReturnType<typeof createMemoryStore>, root: Node): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = async (node: Node, path: string): Promise<void> => {
    if (node.kind === "symlink") found[path] = `-> ${Buffer.from(node.target)}`;
    else if (node.kind === "file") {
      const [bytes] = await store.blobs.readMany([node.digest]);
      found[path] = `${node.executable ? "x " : ""}${Buffer.from(bytes ?? [])}`;
    } else {
      const found = (await store.directories.get(node.digest)) as Directory;
      for (const entry of found.entries) await visit(entry.node, `${path}/${Buffer.from(entry.name)}`);
    }
  };
  await visit(root, "");
  return found;
}

describe("tar", () => {
  test("hard links become files, directories merge, a file named again replaces", async () => {
    const store = createMemoryStore();
    const tar = archive(
      header({ name: "./d/", type: "5" }),
      header({ name: "./d/a", size: 3 }),
      "old",
      header({ name: "d/a", size: 3, mode: 0o755 }),
      "new",
      header({ name: "d/b", type: "1", link: "./d/a", size: 3 }),
      header({ name: "d/", type: "5" }),
      header({ name: "d/sub/deep", size: 1 }),
      "!",
      header({ name: "d/l", type: "2", link: "../nowhere" }),
    );
    for (const size of [1, 511, 4096]) {
      const root = await ingest(tar, tarEntries, size, store);
      expect(await contentOf(store, root)).toEqual({ "/a": "x new", "/b": "x new", "/sub/deep": "!", "/l": "-> ../nowhere" });
    }
  });

  test("the root may be a single file", async () => {
    const root = await ingest(archive(header({ name: "f", size: 2, mode: 0o700 }), "hi"), tarEntries);
    expect(root).toMatchObject({ kind: "file", size: 2n, executable: true });
  });

  const bad: [string, Uint8Array][] = [
    ["..", archive(directory, header({ name: "d/../x" }))],
    ["an absolute path", archive(header({ name: "/d" }))],
    ["two roots", archive(directory, header({ name: "e" }))],
    ["a character device", archive(directory, header({ name: "d/c", type: "3" }))],
    ["a block device", archive(directory, header({ name: "d/c", type: "4" }))],
    ["a FIFO", archive(directory, header({ name: "d/c", type: "6" }))],
    ["an unknown type", archive(directory, header({ name: "d/c", type: "Z" }))],
    ["a file beneath a file", archive(directory, header({ name: "d/f" }), header({ name: "d/f/g" }))],
    ["a file beneath a symlink", archive(directory, header({ name: "d/f", type: "2", link: "/etc" }), header({ name: "d/f/g" }))],
    ["a directory that becomes a file", archive(directory, header({ name: "d/f/g" }), header({ name: "d/f" }))],
    ["a hard link to nothing", archive(directory, header({ name: "d/h", type: "1", link: "d/none" }))],
    ["a hard link to itself", archive(directory, header({ name: "d/h", type: "1", link: "d/h" }))],
    ["a hard link to a directory", archive(directory, header({ name: "d/h", type: "1", link: "d" }))],
    ["an empty symlink target", archive(directory, header({ name: "d/h", type: "2" }))],
    ["nothing in it", archive()],
    ["no bytes", new Uint8Array(0)],
    ["no end marker", directory],
    ["a cut in a header", archive(directory).subarray(0, 300)],
    ["a cut in a file", archive(directory, header({ name: "d/f", size: 2000 }), "x".repeat(2000)).subarray(0, 1500)],
    ["a wrong checksum", archive(directory.map((byte, i) => (i === 0 ? byte + 1 : byte)))],
    ["a huge pax header", archive(header({ name: "x", type: "x", size: 1 << 30 }))],
    ["a pax record of no form", archive(header({ name: "x", type: "x", size: 20 }), "99 path=evil", directory)],
    ["too many levels", archive(header({ name: "p", type: "L", size: 3000 }), "d/".repeat(1500), header({ name: "x" }))],
  ];
  test.each(bad)("%s is refused", async (_, tar) => {
    await expect(ingest(tar, tarEntries)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
  });
});

describe("real tar and real NAR of one tree have one root", () => {
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
  test("is the same tree however it is cut", async () => {
    const nar = await readFile(new URL("../fixtures/nars/nested.nar", import.meta.url));
    const root = await ingest(nar, narEntries);
    for (const size of [1, 7, 8, 100]) expect(await ingest(nar, narEntries, size)).toEqual(root);
  });

  test("a large file between small ones", async () => {
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
  const tar = archive(directory, header({ name: "d/f", size: 2 }), "hi");
  const read = (bytes: Uint8Array, size = 1000): Promise<Node> => {
    const store = createMemoryStore();
    const uploader = new BlobUploader(store.blobs);
    return ingestEntries(store, uploader, tarEntries(decompressed(pieces(bytes, size)), uploader));
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
