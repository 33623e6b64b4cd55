import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { calculateNar, narSize, renderNar } from "../../src/store/nar.ts";
import { NarSizes } from "../../src/store/nar-sizes.ts";
import { collect } from "./fixtures.ts";

const LINK: Node = { kind: "symlink", target: utf8("target") };
const directory = (entries: Record<string, Node>): Directory =>
  makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
const to = (child: Directory): Node => directoryNode(child, "documented");
const fileOf = (size: bigint): Node => ({ kind: "file", digest: digestOf(utf8("x")), size, executable: false });

/** A NAR begins with 24 bytes that belong to no node. */
const HEADER = 24;

async function expectSize(store: ReturnType<typeof createMemoryStore>, node: Node): Promise<void> {
  const { length } = await collect(renderNar(store, node));
  expect((await NarSizes.read(store, node)).of(node)).toBe(length - HEADER);
  expect(await narSize(store, node)).toBe(length);
}

describe("the size of a node is that of its NAR", () => {
  test("for leaves, whatever their lengths", async () => {
    const store = createMemoryStore();
    for (const length of [0, 1, 7, 8, 9]) {
      const content = new Uint8Array(length).fill(1);
      const [digest] = await store.blobs.putMany([content]);
      for (const executable of [false, true])
        await expectSize(store, { kind: "file", digest: digest ?? digestOf(content), size: BigInt(length), executable });
      await expectSize(store, { kind: "symlink", target: utf8("t".repeat(length + 1)) });
    }
  });

  test("for directories, each occurrence of which counts", async () => {
    const store = createMemoryStore();
    const inner = directory({ a: LINK, "a longer name": LINK });
    const empty = directory({});
    const middle = directory({ empty: to(empty), inner: to(inner), link: LINK });
    const root = directory({ "1": to(middle), "2": to(inner), "3": to(middle), "4": to(empty) });
    await store.directories.put([inner, empty, middle, root]);
    const sizes = await NarSizes.read(store, to(root));
    for (const one of [root, middle, inner, empty]) {
      await expectSize(store, to(one));
      expect(sizes.of(to(one))).toBe((await collect(renderNar(store, to(one)))).length - HEADER);
    }
    expect(sizes.of(LINK)).toBe((await collect(renderNar(store, LINK))).length - HEADER);
  });
});

describe("a size of 2^53 bytes or more is refused", () => {
  const store = createMemoryStore();
  const of = async (node: Node) => (await NarSizes.read(store, node)).of(node);

  test("of a file", async () => {
    await expect(of(fileOf(2n ** 53n))).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    expect(await of(fileOf(2n ** 53n - 1000n))).toBeLessThan(2 ** 53);
  });

  test("of files together, and of directories together", async () => {
    const inner = directory({ half: fileOf(2n ** 52n) });
    const files = directory({ a: fileOf(2n ** 52n), b: fileOf(2n ** 52n) });
    const twice = directory({ a: to(inner), b: to(inner) });
    const one = directory({ a: to(inner) });
    for (const put of [[files], [inner, twice], [inner, one]]) await store.directories.put(put);
    expect(await of(to(one))).toBeGreaterThan(2 ** 52);
    for (const root of [files, twice]) await expect(of(to(root))).rejects.toMatchObject({ code: "invalid" });
  });
});

test("a missing directory is not-found", async () => {
  const store = createMemoryStore();
  const inner = directory({ a: LINK });
  await expect(NarSizes.read(store, to(inner))).rejects.toMatchObject({ name: "StoreError", code: "not-found" });
});

describe("a few directories that form an endless NAR", () => {
  const levels: Directory[] = [directory({ l: LINK })];
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

test("the sizes of a large tree are calculated in turns, so other tasks run", async () => {
  const store = createMemoryStore();
  const directories = [...Array(40).keys()].map((i) =>
    makeDirectory([...Array(2000).keys()].map((j) => ({ name: utf8(`${i}-${j}`), node: { kind: "symlink", target: utf8("x") } }))),
  );
  const top = makeDirectory(directories.map((inner, i) => ({ name: utf8(`${i}`), node: directoryNode(inner, "documented") })));
  await store.directories.put([...directories, top]);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await narSize(store, directoryNode(top, "documented"));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});
