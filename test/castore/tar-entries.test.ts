import { readdirSync } from "node:fs";
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
import type { Node } from "../../src/castore/node.ts";
import { type TarOptions, tarEntries } from "../../src/castore/tar-entries.ts";
import { TarParser } from "../../src/castore/tar-parser.ts";
import { decompressed } from "../../src/compression/decompress.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { importEntries } from "../../src/store/import.ts";
import { makeTree, type TreeKind, tarOf } from "../fixtures/trees.ts";
import { pieces } from "../setup/pieces.ts";
import { expectLinear } from "../setup/processor-time.ts";
import { archive, header, pax } from "./tar-builder.ts";
import { d, file, link, READ, REFUSED, symlink } from "./tar-cases.ts";

/**
 * archives/make-archives.sh makes these archives, except for those in cases/, which others sent us.
 * tar-tools.test.ts checks the expected results with real tools.
 */
const ARCHIVES = join(import.meta.dirname, "archives");
const TREE = "/nix/store/8ma09mm7nw9hvg4s05g3h8p0zg3jn09b-tree";
const HOLES = "/nix/store/aiij1a86rd18wvg5bjz6h9a6i28pzjxy-holes";

const archivesIn = (dir: string): string[] =>
  readdirSync(join(ARCHIVES, dir))
    .filter((name) => /\.(?:tar(?:\.\w+)?|tgz)$/.test(name))
    .map((name) => join(dir, name));

async function imported(path: string, name: string, size: number): Promise<string> {
  const bytes = await readFile(join(ARCHIVES, path));
  const store = createMemoryStore();
  const entries = (uploader: BlobUploader) => tarEntries(decompressed(pieces(bytes, size)), uploader);
  return (await importEntries(store, new InlineHashEngine(), entries, { name })).storePath;
}

/**
 * Content of an archive by path: text of files, prefixed by `x` if executable; `->` and target of
 * symlinks.
 */
async function contents(tar: Uint8Array, options: TarOptions & { size?: number } = {}): Promise<Record<string, string>> {
  const store = createMemoryStore();
  const uploader = new BlobUploader(store.blobs);
  const { node: root } = await ingestEntries(store, uploader, tarEntries(pieces(tar, options.size ?? 1000), uploader, options));
  const found: Record<string, string> = {};
  const visit = async (node: Node, path: string): Promise<void> => {
    if (node.kind === "symlink") found[path] = `-> ${Buffer.from(node.target)}`;
    else if (node.kind === "file") {
      const stream = await store.blobs.open(node.digest);
      const bytes = Buffer.from(await new Response(stream).arrayBuffer());
      found[path] = `${node.executable ? "x " : ""}${bytes}`;
    } else {
      const directory = (await store.directories.get(node.digest)) as Directory;
      if (directory.entries.length === 0) found[`${path}/`] = "";
      for (const entry of directory.entries) await visit(entry.node, `${path}/${Buffer.from(entry.name).toString("latin1")}`);
    }
  };
  await visit(root, "");
  return found;
}

/** Root of an archive, which may be compressed. */
async function root(bytes: Uint8Array, size = 1000): Promise<Node> {
  const store = createMemoryStore();
  const uploader = new BlobUploader(store.blobs);
  return (await ingestEntries(store, uploader, tarEntries(decompressed(pieces(bytes, size)), uploader))).node;
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
      const gnu = await root(await tarOf(path));
      expect(await root(await tarOf(path, { format: "pax" }), 65_536)).toEqual(gnu);
    },
  );
});

describe("real archives", () => {
  test.each([...archivesIn("."), ...archivesIn("cases")])("%s holds the tree", async (path) => {
    for (const size of [100, 512, 100_000]) expect(await imported(path, "tree", size)).toBe(TREE);
  });

  test.each(archivesIn("sparse"))("%s is read with its holes", async (path) => {
    for (const size of [511, 100_000]) expect(await imported(path, "holes", size)).toBe(HOLES);
  });

  test.each(archivesIn("refused"))("%s is refused", async (path) => {
    await expect(imported(path, "tree", 1000)).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("archives that no tar writes", () => {
  test.each(Object.entries(READ))("%s", async (_, [tar, expected]) => {
    for (const size of [1, 511, 100_000]) {
      if (size === 1 && tar.length > 100_000) continue;
      expect(await contents(tar, { size })).toEqual(expected);
    }
  });

  test.each(Object.entries(REFUSED))("%s is refused", async (_, tar) => {
    await expect(contents(tar)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
  });
});

test("entries come in batches of 1000", async () => {
  const tar = archive(d, ...Array.from({ length: 1999 }, (_, i) => symlink(`d/${i}`, "x")));
  const counts: number[] = [];
  const uploader = new BlobUploader(createMemoryStore().blobs);
  for await (const entries of tarEntries(pieces(tar, 100_000), uploader)) counts.push(entries.length);
  expect(counts).toEqual([1000, 1000, 0]);
});

describe("with stripRoot: false", () => {
  const keep = { stripRoot: false };

  test("the top level becomes the root, whatever it holds", async () => {
    expect(await contents(archive(d, file("d/a", "1"), file("./e", "2"), symlink("/f", "d")), keep)).toEqual({
      "/d/a": "1",
      "/e": "2",
      "/f": "-> d",
    });
    expect(await contents(archive(d, file("d/a", "1")), keep)).toEqual({ "/d/a": "1" });
    expect(await contents(archive(file("a", "1")), keep)).toEqual({ "/a": "1" });
    expect(await contents(archive(), keep)).toEqual({ "/": "" });
  });

  test("other rules still apply", async () => {
    await expect(contents(archive(file("../a", "1")), keep)).rejects.toMatchObject({ code: "invalid" });
    await expect(contents(new Uint8Array(0), keep)).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("hostile archives", () => {
  const holes = archive(
    d,
    pax([
      ["GNU.sparse.size", String(60 * 1024 ** 3)],
      ["GNU.sparse.map", "0,1"],
    ]),
    file("d/a", "1"),
  );

  test("a few bytes that expand to 60 GiB are read in pieces, and can be aborted", async () => {
    const store = createMemoryStore();
    let written = 0;
    const uploader = new BlobUploader({
      ...store.blobs,
      create: async () => ({
        write: async (bytes: Uint8Array) => {
          written += bytes.length;
        },
        close: async () => ({ digest: (await store.blobs.putMany([utf8("x")]))[0] as never, size: written }),
        abort: async () => {},
      }),
    } as never);
    const controller = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 100);
    const read = async (): Promise<void> => {
      for await (const _ of tarEntries(pieces(holes, 100_000), uploader, { signal: controller.signal })) {
        // The archive yields no entry before the abort.
      }
    };
    await expect(read()).rejects.toBe(reason);
    expect(written).toBeGreaterThan(0);
  });

  test("the sizes of all sparse files are limited together", async () => {
    const two = archive(
      d,
      ...[1, 2].flatMap((i) => [
        pax([
          ["GNU.sparse.size", String(40 * 1024 ** 3)],
          ["GNU.sparse.map", "0,1"],
        ]),
        file(`d/${i}`, "1"),
      ]),
    );
    const parser = new TarParser({ entry() {}, content() {}, end() {} });
    expect(() => {
      for (const _ of parser.push(two)) {
        // The content is dropped.
      }
    }).toThrowError(expect.objectContaining({ code: "invalid" }));
  });

  test("a long chain of hard links is followed in linear time", async () => {
    await expectLinear(20_000, async (count) => {
      const links = Array.from({ length: count }, (_, i) => link(`d/${i}`, `d/${i + 1}`));
      const found = await contents(archive(d, ...links, file(`d/${count}`, "1")), { size: 1_000_000 });
      expect(Object.keys(found)).toHaveLength(count + 1);
    });
  });

  test("pax records without effect take no memory, however long they are", async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      const piece = new Uint8Array(1024 * 1024).fill(0x78);
      for (const type of ["g", "x"]) {
        yield header({ name: "pax", type, size: 200 * piece.length });
        const start = `${200 * piece.length} comment=`;
        yield utf8(start);
        for (let i = 0; i < 199; i++) yield piece;
        yield piece.subarray(start.length + 1);
        yield utf8("\n");
      }
      yield archive(file("f", "1"));
    };
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      for await (const bytes of source()) {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        yield bytes;
      }
    };
    const store = createMemoryStore();
    const uploader = new BlobUploader(store.blobs);
    const { node: root } = await ingestEntries(store, uploader, tarEntries(watched(), uploader));
    expect(root).toMatchObject({ kind: "file", size: 1n });
    expect(most).toBeLessThan(50 * 1024 * 1024);
  });
});

describe("compressed archives", () => {
  const tar = archive(header({ name: "d/", type: "5", mode: 0o755 }), header({ name: "d/f", size: 2 }), "hi");
  test("gzip is read, in pieces of any size", async () => {
    const plain = await root(tar);
    for (const size of [1, 10, 1000]) expect(await root(gzipSync(tar), size)).toEqual(plain);
  });

  test.each([
    ["cut short", gzipSync(tar).subarray(0, 40)],
    ["damaged", gzipSync(tar).map((byte, i) => (i === 30 ? byte ^ 255 : byte))],
    ["xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0])],
  ])("%s is refused", async (_, bytes) => {
    await expect(root(bytes)).rejects.toMatchObject({ code: "invalid" });
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
