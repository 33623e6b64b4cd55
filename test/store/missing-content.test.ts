import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestKey, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { Directory } from "../../src/castore/directory.ts";
import type { Node } from "../../src/castore/node.ts";
import { missingContent } from "../../src/store/missing-content.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { failure, importFiles } from "./fixtures.ts";

const OBJECT = 16 * 1024;
const DIRECTORY = 64;
const limit = Number.MAX_SAFE_INTEGER;

const fileNode = (content: Uint8Array): Node => ({
  kind: "file",
  digest: digestOf(content),
  size: BigInt(content.length),
  executable: false,
});

describe("the cost of a copy", () => {
  test("of a symlink and of an empty file is nothing", async () => {
    for (const node of [{ kind: "symlink", target: utf8("t") } as const, fileNode(new Uint8Array(0))])
      expect(await missingContent(createMemoryStore(), createMemoryStore(), node, { limit })).toMatchObject({ cost: 0 });
  });

  test("of a file is its size and a request, unless the target has it", async () => {
    const [from, to] = [createMemoryStore(), createMemoryStore()];
    await from.blobs.putMany([utf8("content")]);
    const missing = await missingContent(from, to, fileNode(utf8("content")), { limit });
    expect(missing.cost).toBe(OBJECT + 7);
    expect([...missing.present]).toEqual([]);
    await to.blobs.putMany([utf8("content")]);
    const present = await missingContent(from, to, fileNode(utf8("content")), { limit });
    expect(present.cost).toBe(0);
    expect([...present.present]).toEqual([digestKey(digestOf(utf8("content")))]);
  });

  test("of a long file counts only the chunks that the target lacks", async () => {
    const [from, to] = [createMemoryStore(), createMemoryStore()];
    const shared = pseudoRandom(3_000_000, 1);
    const content = concatBytes([shared, pseudoRandom(500_000, 2)]);
    const writer = await from.blobs.create();
    await writer.write(content);
    await writer.close();
    const other = await to.blobs.create();
    await other.write(shared);
    await other.close();
    const { cost } = await missingContent(from, to, fileNode(content), { limit });
    expect(cost).toBeGreaterThan(OBJECT + 400_000);
    expect(cost).toBeLessThan(OBJECT + 1_100_000);
    expect((await missingContent(from, createMemoryStore(), fileNode(content), { limit })).cost).toBe(OBJECT + content.length);
  });

  test("of a tree counts each file and each directory once, and skips directories that the target has", async () => {
    const [from, to] = [createMemoryStore(), createMemoryStore()];
    const files = { "a/x": utf8("x"), "a/y": utf8("yy"), "b/x": utf8("x"), "c/x": utf8("x"), "d/empty": new Uint8Array(0) };
    const { node } = await importFiles(from, "tree", files);
    // The root, `a`, `b` and `d`; `c` is equal to `b`. The files `x` and `yy`.
    const missing = await missingContent(from, to, node, { limit });
    expect(missing.cost).toBe(4 * DIRECTORY + 2 * OBJECT + 3);
    expect(missing.present.has(digestKey(EMPTY_DIGEST))).toBe(false);

    await importFiles(to, "other", { "b/x": utf8("x") });
    // The root, `a` and `d`. The file `yy`.
    const rest = await missingContent(from, to, node, { limit });
    expect(rest.cost).toBe(3 * DIRECTORY + OBJECT + 2);
    expect([...rest.present]).toEqual([digestKey(digestOf(utf8("x")))]);

    await importFiles(to, "tree", files);
    expect((await missingContent(from, to, node, { limit })).cost).toBe(0);
  });

  test("is not counted beyond the limit", async () => {
    const [from, to] = [createMemoryStore(), createMemoryStore()];
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}/f`, utf8(`file ${i}`)]));
    const { node } = await importFiles(from, "wide", files);
    let lookups = 0;
    const { directories } = to;
    const counting = {
      ...to,
      directories: {
        get: (...arguments_: Parameters<typeof directories.get>) => {
          lookups++;
          return directories.get(...arguments_);
        },
        getClosure: directories.getClosure.bind(directories),
        put: directories.put.bind(directories),
        sizeRules: directories.sizeRules.bind(directories),
      },
    };
    const { cost } = await missingContent(from, counting, node, { limit: 3 * DIRECTORY });
    expect(cost).toBeGreaterThanOrEqual(3 * DIRECTORY);
    expect(lookups).toBe(3);
  });

  test("of a tree whose directory is missing at the source is not known", async () => {
    const from = createMemoryStore();
    const { node } = await importFiles(from, "tree", { "a/x": utf8("x") });
    expect(await failure(missingContent(createMemoryStore(), createMemoryStore(), node, { limit }))).toMatchObject({
      code: "not-found",
    });
  });
});

test("blobs are looked up 256 at a time, and a large one's chunks only if it has more than a MiB", async () => {
  const [from, to] = [createMemoryStore(), createMemoryStore()];
  const most = pseudoRandom(1024 * 1024, 1);
  const files = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`f${i}`, utf8(`file ${i}`)]));
  const { node } = await importFiles(from, "tree", { ...files, most });
  const lookups: number[] = [];
  const { stat } = to.blobs;
  to.blobs.stat = (digests, options) => {
    lookups.push(digests.length);
    return stat.call(to.blobs, digests, options);
  };
  let chunkLists = 0;
  const { stat: statFrom } = from.blobs;
  from.blobs.stat = (...args) => {
    chunkLists++;
    return statFrom.apply(from.blobs, args);
  };
  await missingContent(from, to, node, { limit });
  expect([lookups, chunkLists]).toEqual([[256, 1], 0]);
  const more = pseudoRandom(1024 * 1024 + 1, 2);
  await missingContent(from, to, fileNode(more), { limit });
  expect(chunkLists).toBe(1);
});

test("the signal reaches each call, and the stream of directories is closed after a failure", async () => {
  const [from, to] = [createMemoryStore(), createMemoryStore()];
  const { node } = await importFiles(from, "tree", { "a/x": utf8("x"), "b/y": utf8("y") });
  const many = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`${i}`, utf8(`${i}`)]));
  const wide = await importFiles(from, "wide", { ...many, "sub/x": utf8("x") });
  const { signal } = new AbortController();
  const signals = new Set<AbortSignal | undefined>();
  const { get } = to.directories;
  to.directories.get = (digest, options) => {
    signals.add(options?.signal);
    return get.call(to.directories, digest, options);
  };
  to.blobs.stat = (_, options) => {
    signals.add(options?.signal);
    return Promise.reject(new Error("the store is gone"));
  };
  let returned = 0;
  const { getClosure } = from.directories;
  from.directories.getClosure = async (digest, options) => {
    const closure = await getClosure.call(from.directories, digest, options);
    const iterator = closure?.[Symbol.asyncIterator]();
    if (!iterator) return undefined;
    const watched: AsyncIterator<Directory> = {
      next: () => iterator.next(),
      return: async () => {
        returned++;
        return { done: true, value: undefined };
      },
    };
    return { [Symbol.asyncIterator]: () => watched };
  };
  // The root fills a batch of blobs, whose lookup fails, before its directory is read.
  expect(await failure(missingContent(from, to, wide.node, { limit, signal }))).toMatchObject({ message: "the store is gone" });
  expect(returned).toBe(1);
  expect(await failure(missingContent(from, to, node, { limit, signal }))).toMatchObject({ message: "the store is gone" });
  expect([...signals]).toEqual([signal]);
});
