import { describe, expect, test, vi } from "vitest";
import type { Digest } from "../../src/castore/digest.ts";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import type { Progress } from "../../src/progress.ts";
import { Marks } from "../../src/worker/marks.ts";
import type { NewObject } from "../../src/worker/object-view.ts";
import {
  damage,
  directory,
  entryOf,
  failure,
  hashPart,
  longBlob,
  type MemoryStore,
  memoryStore,
  pathInfo,
  putPack,
  putPathInfos,
  symlink,
  text,
} from "./memory-store.ts";

const [A, B, C, UNUSED] = [text("a"), text("bb"), text("ccc"), text("unused")];
const LONG = longBlob(B, C);
const SUB = directory({ long: LONG.node, link: symlink });
const ROOT = directory({ a: A.node, empty: { kind: "directory", digest: EMPTY_DIGEST, size: 0n }, sub: SUB.node });

async function marked(world: MemoryStore): Promise<Marks> {
  const marks = new Marks(world.store);
  await marks.markRoots({});
  return marks;
}

/** The marked ones of these objects. */
function alive(world: MemoryStore, marks: Marks, ...objects: readonly NewObject[]): NewObject[] {
  return objects.filter((object) => marks.has(entryOf(world, object)));
}

async function pin({ database }: MemoryStore, name: string, node: unknown): Promise<void> {
  await database.put("pins", name, { name, node });
}

describe("marks", () => {
  test("reach everything beneath a store path, and nothing else", async () => {
    const world = memoryStore();
    await putPack(world, [A, B, C, UNUSED, LONG, SUB, ROOT]);
    await putPathInfos(world, pathInfo("a", ROOT.node));
    const marks = await marked(world);
    expect(alive(world, marks, A, B, C, UNUSED, LONG, SUB, ROOT)).toEqual([A, B, C, LONG, SUB, ROOT]);
  });

  test("reach what pins refer to: a file of one chunk, a long file, a directory; a symlink has no content", async () => {
    const world = memoryStore();
    await putPack(world, [A, B, C, LONG, SUB, ROOT]);
    await pin(world, "link", symlink);
    expect(alive(world, await marked(world), A, B, C, LONG, SUB, ROOT)).toEqual([]);
    await pin(world, "file", A.node);
    expect(alive(world, await marked(world), A, B, C, LONG, SUB, ROOT)).toEqual([A]);
    await pin(world, "file", LONG.node);
    expect(alive(world, await marked(world), A, B, C, LONG, SUB, ROOT)).toEqual([B, C, LONG]);
    await pin(world, "file", SUB.node);
    expect(alive(world, await marked(world), A, B, C, LONG, SUB, ROOT)).toEqual([B, C, LONG, SUB]);
  });

  test("of an object in two packs are on its first entry only", async () => {
    const world = memoryStore();
    await putPack(world, [UNUSED, A]);
    await putPack(world, [A]);
    await putPathInfos(world, pathInfo("a", A.node));
    const marks = await marked(world);
    expect([0, 1, 2].filter((entry) => marks.has(entry))).toEqual([1]);
  });

  test("are on the chunk and on the chunk list, if both have the same digest", async () => {
    const world = memoryStore();
    const list = { ...LONG, digest: A.digest };
    await putPack(world, [A, B, C, list]);
    await putPathInfos(world, pathInfo("a", A.node));
    expect(alive(world, await marked(world), A, B, C, list)).toEqual([A, B, C, list]);
  });

  test("reach more than 256 directories and long files at a level, and read no directory twice", async () => {
    const world = memoryStore();
    const files = Array.from({ length: 300 }, (_, i) => text(`part ${i}`));
    const longs = files.map((file) => longBlob(A, file));
    const below = longs.map(({ node }) => directory({ node }));
    const root = directory(Object.fromEntries([...below, ...below].map(({ node }, i) => [`d${i}`, node])));
    await putPack(world, [A, ...files, ...longs, ...below, root]);
    await putPathInfos(world, pathInfo("a", root.node), pathInfo("b", root.node));
    const read = vi.spyOn(world.store, "read");
    const marks = await marked(world);
    expect(alive(world, marks, A, ...files, ...longs, ...below, root)).toHaveLength(1 + 300 + 300 + 300 + 1);
    const directories = read.mock.calls.flatMap(([, digests]: [unknown, readonly Digest[]]) => digests);
    expect(directories).toHaveLength(1 + 300 + 300);
    expect(Math.max(...read.mock.calls.map(([, digests]) => digests.length))).toBe(256);
  });

  test.each([
    ["a directory", ROOT.node, [A, B, C, LONG, SUB, ROOT]],
    ["a file", UNUSED.node, [UNUSED]],
    ["a long file", LONG.node, [B, C, LONG]],
  ])("reach %s that another tab has committed since the index was read", async (_, node, objects) => {
    const world = memoryStore();
    await putPathInfos(world, pathInfo("a", node));
    await world.store.refresh();
    await putPack(memoryStore("opfs", world), objects);
    expect(alive(world, await marked(world), ...objects)).toEqual(objects);
  });

  test("report each store path, in order", async () => {
    const world = memoryStore();
    await putPack(world, [A]);
    await putPathInfos(world, pathInfo("a", A.node), pathInfo("b", symlink));
    const told: Progress[] = [];
    await new Marks(world.store).markRoots({ onProgress: (progress) => told.push(progress) });
    expect(told).toEqual([
      { phase: "marking", unit: "paths", loaded: 1 },
      { phase: "marking", unit: "paths", loaded: 2 },
    ]);
  });
});

describe("objects that can't be told from garbage stop the collection:", () => {
  const whole = async (): Promise<MemoryStore> => {
    const world = memoryStore();
    await putPack(world, [A, B, C, LONG, SUB, ROOT]);
    await putPathInfos(world, pathInfo("a", ROOT.node));
    return world;
  };

  test("a damaged directory", async () => {
    const world = await whole();
    damage(world, SUB.kind, SUB.digest);
    expect(await failure(marked(world))).toBe("corrupt");
  });

  test.each([
    ["the root", [A, B, C, LONG, SUB]],
    ["a directory below it", [A, B, C, LONG, ROOT]],
  ])("%s is missing", async (_, objects) => {
    const world = memoryStore();
    await putPack(world, objects);
    await putPathInfos(world, pathInfo("a", ROOT.node));
    expect(await failure(marked(world))).toBe("corrupt");
  });

  test.each<[string, (node: Node) => unknown]>([
    ["is missing", () => undefined],
    ["has no digest", ({ kind }) => ({ kind, size: 1n })],
    ["has a digest of the wrong length", (node) => ({ ...node, digest: new Uint8Array(31) })],
  ])("the node of a pin or of a path info %s", async (_, change) => {
    const world = await whole();
    await pin(world, "bad", change(ROOT.node));
    await expect(marked(world)).rejects.toMatchObject({ code: "corrupt", message: expect.stringContaining("pin bad") });
    await world.database.delete("pins", "bad");
    await world.database.put("pathInfos", hashPart("b"), { ...pathInfo("b", ROOT.node), node: change(ROOT.node) });
    await expect(marked(world)).rejects.toMatchObject({ code: "corrupt", message: expect.stringContaining(hashPart("b")) });
  });
});

test("missing and damaged files are left for `verify`", async () => {
  const world = memoryStore();
  await putPack(world, [A, C, LONG, SUB, ROOT]);
  damage(world, A.kind, A.digest);
  await putPathInfos(world, pathInfo("a", ROOT.node), pathInfo("b", UNUSED.node));
  expect(alive(world, await marked(world), A, C, LONG, SUB, ROOT)).toEqual([A, C, LONG, SUB, ROOT]);
});

test("an abort ends the walk with its reason", async () => {
  const world = memoryStore();
  await putPack(world, [A, B, C, LONG, SUB, ROOT]);
  await putPathInfos(world, pathInfo("a", ROOT.node));
  const controller = new AbortController();
  const read = world.store.read.bind(world.store);
  world.store.read = async (...args) => {
    controller.abort("enough");
    return read(...args);
  };
  const marks = new Marks(world.store);
  await expect(marks.markRoots({ signal: controller.signal })).rejects.toBe("enough");
  // The walk stopped before it read the directory below the root.
  expect(alive(world, marks, A, SUB, LONG, B)).toEqual([A, SUB]);
});
