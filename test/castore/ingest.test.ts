import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { type Directory, type DirectorySizeRule, makeDirectory, SIZE_RULES } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import { type IngestionEntry, ingest, ingestEntries, MAX_TREE_DEPTH, showPath } from "../../src/castore/ingest.ts";
import type { Node } from "../../src/castore/node.ts";
import type { CastoreServices } from "../../src/castore/services.ts";
import { expectLinear } from "../setup/processor-time.ts";

const invalid = { name: "StoreError", code: "invalid" };

/** Path of names, given with slashes. Each call makes new arrays for the names. */
const at = (path: string): Uint8Array[] => (path === "" ? [] : path.split("/").map(utf8));
const dir = (path: string): IngestionEntry => ({ kind: "directory", path: at(path) });
const link = (path: string): IngestionEntry => ({ kind: "symlink", path: at(path), target: utf8("x") });
const LINK: Node = { kind: "symlink", target: utf8("x") };
const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));

function write(entries: Parameters<typeof ingestEntries>[2], store: CastoreServices = createMemoryStore()) {
  return ingestEntries(store, new BlobUploader(store.blobs), entries);
}

/** A store that keeps the directories in the order in which they come. */
function recording(rules: readonly DirectorySizeRule[] = SIZE_RULES) {
  const store = createMemoryStore();
  const put: Directory[] = [];
  let asked = 0;
  const castore: CastoreServices = {
    blobs: store.blobs,
    directories: {
      get: (...args) => store.directories.get(...args),
      getClosure: (...args) => store.directories.getClosure(...args),
      async put(directories) {
        for await (const one of directories) put.push(one);
        return directoryDigest(put.at(-1) as Directory);
      },
      async sizeRules() {
        asked++;
        return rules;
      },
    },
  };
  return { castore, put, asked: () => asked };
}

describe("a tree", () => {
  const entries = [link("a/b/l"), dir("a/b"), link("a/z"), dir("a"), dir("e"), link("l"), dir("")];
  const tree = (rule: DirectorySizeRule): Directory[] => {
    const b = directory({ l: LINK });
    const a = directory({ b: directoryNode(b, rule), z: LINK });
    const e = directory({});
    return [b, a, e, directory({ a: directoryNode(a, rule), e: directoryNode(e, rule), l: LINK })];
  };

  test.each(SIZE_RULES)("is written leaves first, by the rule %s that the store prefers", async (rule) => {
    const { castore, put, asked } = recording([rule]);
    const { node } = await write(entries, castore);
    expect(put).toEqual(tree(rule));
    expect(node).toEqual(directoryNode(put.at(-1) as Directory, rule));
    expect(asked()).toBe(1);
  });

  test("may come as single entries, as arrays, and with names in arrays of their own", async () => {
    const { node } = await write(entries);
    for (const size of [1, 2, 7]) {
      const source = async function* (): AsyncGenerator<IngestionEntry[]> {
        yield [];
        for (let from = 0; from < entries.length; from += size) yield entries.slice(from, from + size);
      };
      expect((await write(source())).node).toEqual(node);
    }
    const name = utf8("a");
    const reused = [
      { ...link(""), path: [name, utf8("l")] } as IngestionEntry,
      { kind: "directory", path: [name] } as const,
      dir(""),
    ];
    expect((await write(reused)).node).toEqual((await write([link("a/l"), dir("a"), dir("")])).node);
  });

  test("needs a size rule only if it has a directory", async () => {
    const { castore, asked } = recording([]);
    expect(await write([link("")], castore)).toEqual({ node: LINK, narSize: 120 });
    expect(asked()).toBe(0);
    await expect(write([dir("")], castore)).rejects.toMatchObject({ name: "StoreError", code: "internal" });
  });

  test.each<[string, IngestionEntry[], number]>([
    ["an empty directory", [dir("")], 96],
    ["a directory with a symlink", [link("l"), dir("")], 288],
  ])("has the size of its NAR: %s", async (_, some, size) => {
    expect((await write(some)).narSize).toBe(size);
  });

  test("may be 1024 levels deep, and no deeper", async () => {
    const deep = (levels: number): IngestionEntry[] => {
      const path = "d/".repeat(levels).slice(0, -1);
      const up = Array.from({ length: levels }, (_, i) => dir("d/".repeat(levels - 1 - i).slice(0, -1)));
      return [link(path), ...up];
    };
    expect((await write(deep(MAX_TREE_DEPTH))).node.kind).toBe("directory");
    await expect(write(deep(MAX_TREE_DEPTH + 1))).rejects.toMatchObject(invalid);
  });
});

describe("many entries", () => {
  test("in a deep directory take time in proportion to the depth", async () => {
    const entries = function* (levels: number): Generator<IngestionEntry> {
      const deep = Array.from({ length: levels }, () => utf8("d"));
      for (let i = 0; i < 3000; i++) yield { kind: "symlink", path: [...deep, utf8(`link ${i}`)], target: utf8("x") };
      for (let depth = deep.length; depth >= 0; depth--) yield { kind: "directory", path: deep.slice(0, depth) };
    };
    await expectLinear(1000, (levels) => write(entries(levels)));
  });

  test("in a directory that waits for a batch take time in proportion to their number", async () => {
    const entries = function* (count: number, uploader: BlobUploader): Generator<IngestionEntry> {
      for (let i = 0; i < count; i++) yield link(`first/link ${i}`);
      uploader.begin();
      uploader.write(utf8("small"));
      yield { kind: "file", path: [utf8("first"), utf8("waits")], executable: false, contents: uploader.end() };
      yield { kind: "directory", path: [utf8("first")] };
      for (let i = 0; i < count; i++) yield link(`link ${i}`);
      yield { kind: "directory", path: [] };
    };
    await expectLinear(20_000, (count) => {
      const store = createMemoryStore();
      const uploader = new BlobUploader(store.blobs);
      return ingestEntries(store, uploader, entries(count, uploader));
    });
  });

  test("of directories that wait for a small file make its batch be written before the source ends", async () => {
    const store = createMemoryStore();
    const counts: number[] = [];
    const { putMany } = store.blobs;
    store.blobs.putMany = (blobs, options) => {
      counts.push(blobs.length);
      return putMany.call(store.blobs, blobs, options);
    };
    const uploader = new BlobUploader(store.blobs);
    const source = function* (directories: number): Generator<IngestionEntry> {
      uploader.begin();
      uploader.write(utf8("small"));
      yield { kind: "file", path: at("0/f"), executable: false, contents: uploader.end() };
      for (let i = 0; i < directories; i++) yield dir(`${i}`);
      expect(counts).toEqual(directories > 1024 ? [1] : []);
      yield dir("");
    };
    await ingestEntries(store, uploader, source(1024));
    expect(counts).toEqual([1]);
    counts.length = 0;
    await ingestEntries(store, uploader, source(1025));
    expect(counts).toEqual([1]);
  });
});

test.each<[string, IngestionEntry[]]>([
  ["nothing", []],
  ["no root", [link("a")]],
  ["a second root", [link(""), link("")]],
  ["something after the root", [dir(""), link("a")]],
  ["a directory that was left and never came", [link("a/b"), link("c/d"), dir("")]],
  ["a directory after a sibling that was left", [link("a/b"), dir("c"), dir("a"), dir("")]],
  ["a symlink before the entry of a sibling that was left", [link("a/b"), link("c"), dir("a"), dir("")]],
  ["a root before what is in it was ended", [link("a/b"), dir("")]],
  ["a directory before what is in it was ended", [link("a/b/c"), dir("a"), dir("a/b"), dir("")]],
  ["one name twice", [link("a"), link("a"), dir("")]],
  ["a name with a slash", [{ ...link("a"), path: [utf8("a/b")] }, dir("")]],
  ["a name with a slash, of a directory", [{ ...dir("a"), path: [utf8("a/b")] }, dir("")]],
  ["an empty symlink target", [{ kind: "symlink", path: at("a"), target: utf8("") }, dir("")]],
])("refuses %s", async (_, entries) => {
  await expect(write(entries)).rejects.toMatchObject(invalid);
});

test("a file whose content is not stored is a fault of the uploader's caller", async () => {
  const contents = { size: 3, digest: undefined };
  await expect(write([{ kind: "file", path: [], executable: false, contents }])).rejects.toMatchObject({ code: "internal" });
});

describe("ingest", () => {
  const file = (uploader: BlobUploader, path: string, content: string): IngestionEntry => {
    uploader.begin();
    uploader.write(utf8(content));
    return { kind: "file", path: at(path), executable: true, contents: uploader.end() };
  };

  test("stores the contents that the source pushes", async () => {
    const store = createMemoryStore();
    const { node } = await ingest(store, (uploader) => [file(uploader, "", "hello")]);
    const digest = digestOf(utf8("hello"));
    expect(node).toEqual({ kind: "file", digest, size: 5n, executable: true });
    expect(await store.blobs.readMany([digest])).toEqual([utf8("hello")]);
  });

  test("discards what was not stored if the source fails, and rejects with its error", async () => {
    const store = createMemoryStore();
    const error = new Error("can't read the source");
    const source = function* (uploader: BlobUploader): Generator<IngestionEntry> {
      yield file(uploader, "a", "hello");
      throw error;
    };
    const aborts: unknown[] = [];
    const { abort } = BlobUploader.prototype;
    BlobUploader.prototype.abort = function (reason) {
      aborts.push(reason);
      return abort.call(this, reason).then(() => Promise.reject(new Error("the writer was gone")));
    };
    try {
      await expect(ingest(store, source)).rejects.toBe(error);
    } finally {
      BlobUploader.prototype.abort = abort;
    }
    expect(aborts).toEqual([error]);
    expect(await store.blobs.readMany([digestOf(utf8("hello"))])).toEqual([undefined]);
  });

  test("rejects with the reason of an abort, before it asks for entries and later", async () => {
    const reason = new Error("enough");
    let asked = 0;
    const count = (): IngestionEntry[] => {
      asked++;
      return [];
    };
    await expect(ingest(createMemoryStore(), count, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(asked).toBe(0);
    const controller = new AbortController();
    const source = function* (): Generator<IngestionEntry> {
      yield link("a");
      controller.abort(reason);
      throw new Error("the connection was closed");
    };
    await expect(ingest(createMemoryStore(), source, { signal: controller.signal })).rejects.toBe(reason);
  });
});

test("paths are shown with slashes", () => {
  expect([[], at("a"), at("a/b")].map(showPath)).toEqual(['"/"', '"a"', '"a/b"']);
});
