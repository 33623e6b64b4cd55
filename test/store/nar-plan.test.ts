import { beforeAll, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestKey } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { FileNode, Node } from "../../src/castore/node.ts";
import type { CastoreServices } from "../../src/castore/services.ts";
import { listNar } from "../../src/nix/nar-listing.ts";
import { narSize, renderNar } from "../../src/store/nar.ts";
import { withMethods } from "../castore/with-methods.ts";
import { collect } from "./fixtures.ts";

const LARGE = 3_000_000;

let castore: CastoreServices;
let root: Node;
let whole: Uint8Array;

async function file(content: Uint8Array, executable = false): Promise<FileNode> {
  const writer = await castore.blobs.create();
  await writer.write(content);
  return { kind: "file", digest: (await writer.close()).digest, size: BigInt(content.length), executable };
}

beforeAll(async () => {
  castore = createMemoryStore();
  const names = (entries: Record<string, Node>) =>
    makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
  const inner = names({ a: await file(utf8("a")), empty: await file(new Uint8Array(0)), z: await file(utf8("eight by"), true) });
  const empty = names({});
  const many = names(
    Object.fromEntries(await Promise.all([...Array(50).keys()].map(async (i) => [`f${i}`, await file(utf8("x".repeat(i)))]))),
  );
  const large = Uint8Array.from({ length: LARGE }, (_, i) => (i * 7919) >>> (i % 13));
  const top = names({
    again: directoryNode(inner, "documented"),
    bin: directoryNode(inner, "documented"),
    empty: directoryNode(empty, "documented"),
    large: await file(large, true),
    link: { kind: "symlink", target: utf8("../else/where") },
    many: directoryNode(many, "documented"),
    script: await file(utf8("#!/bin/sh"), true),
  });
  await castore.directories.put([inner, empty, many, top]);
  root = directoryNode(top, "documented");
  whole = await collect(renderNar(castore, root));
});

function range(offset: number, length: number, of = castore): Promise<Uint8Array> {
  return collect(renderNar(of, root, { range: { offset, length } }));
}

/** Offsets at which parts of the NAR begin and end, and the offsets next to these. */
async function edges(): Promise<number[]> {
  const found = new Set<number>([0, whole.length]);
  const { root: listing } = await listNar(new Blob([whole as Uint8Array<ArrayBuffer>]).stream());
  const visit = (node: typeof listing): void => {
    if (node.type === "regular") for (const at of [node.narOffset, node.narOffset + node.size]) found.add(at);
    if (node.type === "directory") for (const entry of node.entries) visit(entry.node);
  };
  visit(listing);
  // Tokens of the format begin and end at multiples of eight bytes.
  for (let at = 0; at < 2000; at += 8) found.add(at);
  for (let at = whole.length - 2000; at < whole.length; at += 8) found.add(at);
  return [...found].flatMap((at) => [at - 1, at, at + 1]).filter((at) => at >= 0 && at <= whole.length);
}

describe("a range of a NAR equals that part of the whole NAR", () => {
  test("from each edge, with several lengths", async () => {
    for (const offset of await edges()) {
      for (const length of [1, 100]) {
        expect(Buffer.compare(await range(offset, length), whole.subarray(offset, offset + length)), `${length} at ${offset}`).toBe(
          0,
        );
      }
    }
  });

  test("across several parts, at the end, and beyond it", async () => {
    for (const [offset, length] of [
      [0, whole.length],
      [1, whole.length],
      [500, LARGE + 2000],
      [2500, LARGE],
      [LARGE, 5000],
      [whole.length - 1, 100],
      [whole.length, 1],
      [whole.length + 1000, 1],
      [100, 0],
    ] as const) {
      expect(Buffer.compare(await range(offset, length), whole.subarray(offset, offset + length)), `${length} at ${offset}`).toBe(
        0,
      );
    }
  });

  test("an invalid range is refused", async () => {
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
      [0, Number.NaN],
      [Number.POSITIVE_INFINITY, 1],
    ] as const)
      await expect(range(offset, length)).rejects.toMatchObject({ code: "invalid" });
  });

  test.each<[string, () => Promise<Node>]>([
    ["a file", () => file(utf8("0123456789"))],
    ["a large file", () => file(new Uint8Array(LARGE).fill(7))],
    ["a symlink", async () => ({ kind: "symlink", target: utf8("target") })],
  ])("of %s alone", async (_, make) => {
    const node = await make();
    const all = await collect(renderNar(castore, node));
    for (let offset = 0; offset <= 130; offset++) {
      const part = await collect(renderNar(castore, node, { range: { offset, length: 20 } }));
      expect(Buffer.compare(part, all.subarray(offset, offset + 20))).toBe(0);
    }
  });

  test("content before the range is not read", async () => {
    const asked: string[] = [];
    const { blobs } = castore;
    const spy = withMethods(blobs, {
      readMany(digests, options) {
        asked.push(...digests.map(digestKey));
        return blobs.readMany(digests, options);
      },
      open(digest, options) {
        asked.push(`${digestKey(digest)} ${options?.offset} ${options?.length}`);
        return blobs.open(digest, options);
      },
    });
    await range(whole.length - 120, 100, { ...castore, blobs: spy });
    expect(asked).toEqual([digestKey((await file(utf8("#!/bin/sh"))).digest)]);
    asked.length = 0;
    const { root: listing } = await listNar(new Blob([whole as Uint8Array<ArrayBuffer>]).stream());
    const large = listing.type === "directory" ? listing.entries[3]?.node : undefined;
    if (large?.type !== "regular") throw new Error("the fixture has changed");
    await range(large.narOffset + 1_000_000, 10, { ...castore, blobs: spy });
    expect(asked.at(0)).toMatch(/ 1000000 10$/);
  });
});

describe("a range far inside a file is found without reading up to it", () => {
  const SIZE = 2 ** 50;
  const END = SIZE + 112;
  const claimed = (digest: FileNode["digest"]): FileNode => ({ kind: "file", digest, size: BigInt(SIZE), executable: false });
  const read = (node: Node, offset: number, length: number) => collect(renderNar(castore, node, { range: { offset, length } }));

  test("if the content is missing", async () => {
    const missing = claimed(new Uint8Array(32).fill(7) as FileNode["digest"]);
    const inDirectory = makeDirectory([{ name: utf8("huge"), node: missing }]);
    await castore.directories.put([inDirectory]);
    for (const node of [missing, directoryNode(inDirectory, "documented")])
      for (const offset of [SIZE - 1, 1000, 2 ** 40])
        await expect(read(node, offset, 10)).rejects.toMatchObject({ code: "not-found" });
    // This range covers no content.
    expect((await read(missing, END - 16, 16)).length).toBe(16);
  });

  test("if the content is shorter than the node says", async () => {
    const short = claimed((await file(utf8("0123456789"))).digest);
    for (const offset of [SIZE - 1, 1000, 2 ** 40])
      await expect(read(short, offset, 10)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("if the content is there", async () => {
    const real = claimed((await file(utf8("0123456789"))).digest);
    const { blobs } = castore;
    const huge = withMethods(blobs, {
      // Each byte tells its offset.
      open: async (_, { offset = 0, length = SIZE } = {}) =>
        new Blob([Uint8Array.from({ length: Math.min(length, SIZE - offset) }, (_, i) => (offset + i) % 251)]).stream(),
    });
    const part = await collect(renderNar({ ...castore, blobs: huge }, real, { range: { offset: 2 ** 49, length: 100 } }));
    // The content starts at offset 96, after the NAR's header.
    expect([...part]).toEqual([...Array(100).keys()].map((i) => (2 ** 49 - 96 + i) % 251));
  });
});

test("the size of a NAR follows from its directories", async () => {
  expect(await narSize({ ...castore, blobs: undefined as never }, root)).toBe(whole.length);
});
