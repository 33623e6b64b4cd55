import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, equalBytes, utf8 } from "../../src/bytes.ts";
import { type Digest, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode } from "../../src/castore/directory-codec.ts";
import { MAX_TREE_DEPTH } from "../../src/castore/ingest.ts";
import type { FileNode, Node } from "../../src/castore/node.ts";
import type { CastoreServices } from "../../src/castore/services.ts";
import { StoreError } from "../../src/error.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import type { Progress } from "../../src/progress.ts";
import { calculateNar, checkNar, narSize, renderNar } from "../../src/store/nar.ts";
import { iterate } from "../../src/stream.ts";
import { withMethods } from "../castore/with-methods.ts";
import { collect, engine, failure } from "./fixtures.ts";

/** Bytes that don't repeat early, so chunks differ. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

async function addFile(castore: CastoreServices, content: Uint8Array): Promise<FileNode> {
  const writer = await castore.blobs.create();
  await writer.write(content);
  const { digest } = await writer.close();
  return { kind: "file", digest, size: BigInt(content.length), executable: false };
}

/** `castore` with a record of the calls to its blobs. */
function watched(castore: CastoreServices): {
  castore: CastoreServices;
  read: Digest[][];
  opened: Digest[];
  /** For each call: whether it left the check of the content to the caller. */
  unverified: boolean[];
  cancelled: () => boolean;
} {
  const read: Digest[][] = [];
  const opened: Digest[] = [];
  const unverified: boolean[] = [];
  let cancelled = false;
  const { blobs } = castore;
  const spy = withMethods(blobs, {
    readMany(digests, options) {
      read.push([...digests]);
      unverified.push(options?.unverified ?? false);
      return blobs.readMany(digests, options);
    },
    async open(digest, options) {
      opened.push(digest);
      unverified.push(options?.unverified ?? false);
      const reader = (await blobs.open(digest, options))?.getReader();
      return (
        reader &&
        new ReadableStream<Uint8Array>(
          {
            async pull(controller) {
              const { done, value } = await reader.read();
              if (done) controller.close();
              else controller.enqueue(value);
            },
            cancel(reason) {
              cancelled = true;
              return reader.cancel(reason);
            },
          },
          { highWaterMark: 0 },
        )
      );
    },
  });
  return { castore: { ...castore, blobs: spy }, read, opened, unverified, cancelled: () => cancelled };
}

/** Nested directories, `depth` of them beneath the root, leaves first. */
function nested(depth: number): Directory[] {
  const directories = [makeDirectory([])];
  for (let i = 0; i < depth; i++) {
    directories.push(makeDirectory([{ name: utf8("d"), node: directoryNode(directories.at(-1)!, "documented") }]));
  }
  return directories;
}

describe("renderNar", () => {
  test("reads small files in batches and large ones as streams, and writes pieces of constant size", async () => {
    const store = createMemoryStore();
    const contents = [
      noise(10, 1),
      noise(3_000_000, 2),
      noise(10, 1),
      noise(0, 0),
      noise(1024 * 1024, 3),
      noise(1024 * 1024 + 1, 4),
    ];
    const entries = [];
    const expected: Uint8Array[] = [];
    const writer = new NarWriter((piece) => expected.push(piece.slice()));
    writer.directory();
    for (const [i, content] of contents.entries()) {
      const name = utf8(`f${i}`);
      entries.push({ name, node: await addFile(store, content) });
      writer.entry(name);
      writer.file(content.length, false);
      writer.content(content);
      writer.endFile();
    }
    writer.leave();
    writer.end();
    const directory = makeDirectory(entries);
    await store.directories.put([directory]);
    const root = directoryNode(directory, "documented");

    const { castore, read, opened } = watched(store);
    const nar = await collect(renderNar(castore, root));
    // toEqual would take a minute for a few megabytes.
    expect(equalBytes(nar, concatBytes(expected))).toBe(true);
    expect(await narSize(castore, root)).toBe(nar.length);
    expect(opened).toEqual([digestOf(contents[1]!), digestOf(contents[5]!)]);
    expect(read).toEqual([[digestOf(contents[0]!)], [digestOf(contents[0]!), digestOf(contents[4]!)]]);
  });

  test("needs few calls for many small files", async () => {
    const store = createMemoryStore();
    const contents = Array.from({ length: 3000 }, (_, i) => utf8(`content ${i}`));
    const digests = await store.blobs.putMany(contents);
    const directory = makeDirectory(
      digests.map((digest, i) => {
        const node: Node = { kind: "file", digest, size: BigInt(contents[i]!.length), executable: i % 2 === 0 };
        return { name: utf8(`f${i}`), node };
      }),
    );
    await store.directories.put([directory]);
    const { castore, read } = watched(store);
    await collect(renderNar(castore, directoryNode(directory, "documented")));
    expect(read.length).toBe(1);
  });

  test("reads nothing before its stream is read, and only what its reader needs", async () => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(5_000_000, 1));
    const { castore, opened, cancelled } = watched(store);
    const reader = renderNar(castore, file).getReader();
    await new Promise((done) => setTimeout(done, 5));
    expect(opened).toEqual([]);
    await reader.read();
    await reader.read();
    await reader.cancel();
    expect(opened.length).toBe(1);
    expect(cancelled()).toBe(true);
  });

  test("errors with the reason of an abort", async () => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(5_000_000, 1));
    const controller = new AbortController();
    const reason = new Error("enough");
    const reader = renderNar(store, file, { signal: controller.signal }).getReader();
    await reader.read();
    controller.abort(reason);
    const rest = (async () => {
      while (!(await reader.read()).done);
    })();
    expect(await failure(rest)).toBe(reason);
    expect(await failure(calculateNar(store, engine, file, { signal: controller.signal }))).toBe(reason);
  });

  const missing = digestOf(utf8("not there"));
  test.each<[string, Node]>([
    ["small blob", { kind: "file", digest: missing, size: 9n, executable: false }],
    ["large blob", { kind: "file", digest: missing, size: 2n ** 30n, executable: false }],
    ["blob that pretends to be empty", { kind: "file", digest: missing, size: 0n, executable: false }],
    ["directory", { kind: "directory", digest: missing, size: 0n }],
  ])("a missing %s is not-found, never a shorter NAR", async (_, node) => {
    expect(await failure(collect(renderNar(createMemoryStore(), node)))).toMatchObject({ code: "not-found" });
    expect(await failure(calculateNar(createMemoryStore(), engine, node))).toMatchObject({ code: "not-found" });
  });

  test.each([
    ["longer", 3_000_000, -1],
    ["shorter", 3_000_000, 1],
    ["longer", 100, -1],
    ["shorter", 100, 1],
    ["longer", 1, -1],
  ])("content that is %s than its node says is corrupt (%i bytes)", async (_, length, change) => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(length, 1));
    const node = { ...file, size: file.size + BigInt(change) };
    expect(await failure(collect(renderNar(store, node)))).toMatchObject({ code: "corrupt" });
  });

  test("refuses deep nesting, and needs no call stack", async () => {
    const store = createMemoryStore();
    const fine = nested(MAX_TREE_DEPTH);
    await store.directories.put(fine);
    const root = directoryNode(fine.at(-1)!, "documented");
    expect((await collect(renderNar(store, root))).length).toBe(await narSize(store, root));

    const deep = nested(MAX_TREE_DEPTH + 1);
    await store.directories.put(deep);
    const deeper = directoryNode(deep.at(-1)!, "documented");
    expect(await failure(collect(renderNar(store, deeper)))).toMatchObject({ code: "invalid" });
    expect(await failure(narSize(store, deeper))).toMatchObject({ code: "invalid" });
  });
});

describe("calculateNar", () => {
  const MIB = 1024 * 1024;

  test("reports progress for each MiB, and at the end the whole size", async () => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(5_000_000, 1));
    const seen: Progress[] = [];
    const { narSize } = await calculateNar(store, engine, file, { onProgress: (progress) => seen.push(progress) });
    expect(seen.pop()).toEqual({ phase: "hashing", unit: "bytes", loaded: narSize, total: narSize });
    let before = 0;
    for (const { loaded, ...rest } of seen) {
      expect(rest).toEqual({ phase: "hashing", unit: "bytes", total: undefined });
      expect(loaded - before).toBeGreaterThanOrEqual(MIB);
      // A piece of the file may come on top.
      expect(loaded - before).toBeLessThan(2 * MIB);
      before = loaded;
    }
    expect(narSize - before).toBeLessThan(2 * MIB);
  });

  test("reports the phase and the total that the caller states, and hashes with this total", async () => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(3_000_000, 1));
    const plain = await calculateNar(store, engine, file);
    const sizes: unknown[] = [];
    const spied: typeof engine = Object.create(engine, {
      stream: {
        value: (...[algorithm, options]: Parameters<typeof engine.stream>) => {
          sizes.push([algorithm, options?.size]);
          return engine.stream(algorithm, options);
        },
      },
    });
    const claimedSize = plain.narSize;
    for (const [options, total] of [
      [{}, undefined],
      [{ total: 4_000_000 }, 4_000_000],
      [{ claimedSize }, claimedSize],
      [{ claimedSize, total: 4_000_000 }, 4_000_000],
    ] as const) {
      const seen: Progress[] = [];
      const onProgress = (progress: Progress): unknown => seen.push(progress);
      expect(await calculateNar(store, spied, file, { ...options, phase: "verifying", onProgress })).toEqual(plain);
      expect(seen[0]).toMatchObject({ phase: "verifying", total });
      expect(sizes.pop()).toEqual(["sha256", total]);
    }
  });

  test("of another size than claimed is corrupt, and no content is read", async () => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(3_000_000, 1));
    const { narSize } = await calculateNar(store, engine, file);
    for (const claimedSize of [0, narSize - 1, narSize + 8]) {
      const { castore, read, opened } = watched(store);
      expect(await failure(calculateNar(castore, engine, file, { claimedSize }))).toMatchObject({ code: "corrupt" });
      expect([read, opened]).toEqual([[], []]);
    }
  });

  test("at a remote reads no content here; the claimed size is checked here first", async () => {
    const store = createMemoryStore();
    const file = await addFile(store, noise(100, 1));
    const { castore, read, opened } = watched(store);
    const answer = { narSize: 240, narHash: "sha256-remote" };
    const asked: unknown[] = [];
    const { signal } = new AbortController();
    const there = async (...question: unknown[]) => {
      asked.push(question);
      return answer;
    };
    const claimedSize = await narSize(store, file);
    expect(await calculateNar(castore, engine, file, { there, claimedSize, signal })).toBe(answer);
    expect(asked).toEqual([[file, { signal }]]);
    expect(await failure(calculateNar(castore, engine, file, { there, claimedSize: claimedSize + 8 }))).toMatchObject({
      code: "corrupt",
    });
    expect(asked).toHaveLength(1);
    expect([read, opened]).toEqual([[], []]);
  });
});

describe("checkNar", () => {
  async function stored(content: Uint8Array) {
    const store = createMemoryStore();
    const node = await addFile(store, content);
    const info = {
      storePath: "/nix/store/00000000000000000000000000000000-file",
      node,
      ...(await calculateNar(store, engine, node)),
    };
    return { ...watched(store), info };
  }

  test.each([100, 3_000_000])("reads content of %i bytes once, and leaves its check to the NAR hash", async (length) => {
    const { castore, info, unverified } = await stored(noise(length, 1));
    await checkNar(castore, engine, info);
    expect(unverified).toEqual([true]);
  });

  test.each([100, 3_000_000])(
    "content of %i bytes with another NAR hash is corrupt, and read again with a check",
    async (length) => {
      const { castore, info, unverified } = await stored(noise(length, 1));
      const other = (await stored(noise(length, 2))).info.narHash;
      expect(await failure(checkNar(castore, engine, { ...info, narHash: other }))).toMatchObject({ code: "corrupt" });
      expect(unverified).toEqual([true, false]);
    },
  );

  test("finds out whether the store is damaged", async () => {
    const { castore, info } = await stored(noise(100, 1));
    const damage = new StoreError("corrupt", "the blob is damaged");
    const { blobs } = castore;
    const damaged = withMethods(blobs, {
      async readMany(digests, options) {
        if (!options?.unverified) throw damage;
        return digests.map(() => noise(100, 2));
      },
    });
    expect(await failure(checkNar({ ...castore, blobs: damaged }, engine, info))).toBe(damage);
  });

  test("asks a remote once, and believes it", async () => {
    const { castore, info, unverified } = await stored(noise(100, 1));
    let asked = 0;
    const there = async () => {
      asked++;
      return { narSize: info.narSize, narHash: "sha256-other" };
    };
    expect(await failure(checkNar(castore, engine, info, { there }))).toMatchObject({ code: "corrupt" });
    expect([asked, unverified]).toEqual([1, []]);
  });
});

describe("narSize", () => {
  test("measures a directory once, however often it occurs", async () => {
    const store = createMemoryStore();
    // 41 directories stand for 2^40.
    const directories = [makeDirectory([])];
    for (let i = 0; i < 40; i++) {
      const node = directoryNode(directories.at(-1)!, "documented");
      directories.push(makeDirectory(["a", "b"].map((name) => ({ name: utf8(name), node }))));
    }
    await store.directories.put(directories);
    const size = await narSize(store, directoryNode(directories.at(-1)!, "documented"));
    expect(size).toBeGreaterThan(2 ** 40);
  });

  test("refuses a size above the largest safe integer", async () => {
    const node: Node = { kind: "file", digest: digestOf(utf8("x")), size: 2n ** 60n, executable: false };
    expect(await failure(narSize(createMemoryStore(), node))).toMatchObject({ code: "invalid" });
  });
});

test("other tasks run while one large file is rendered", async () => {
  const castore = createMemoryStore();
  const node: FileNode = { kind: "file", digest: EMPTY_DIGEST, size: 64n * 1024n * 1024n, executable: false };
  const piece = new Uint8Array(64 * 1024);
  const { blobs } = castore;
  // All pieces are available at once, and each costs its reader some time.
  const open = async (): Promise<ReadableStream<Uint8Array>> => {
    let left = 1024;
    return new ReadableStream(
      {
        pull(controller) {
          for (const from = performance.now(); performance.now() - from < 0.5; );
          if (left-- > 0) controller.enqueue(piece);
          else controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  };
  const instant = withMethods(blobs, {
    open,
  });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for await (const _ of iterate(renderNar({ ...castore, blobs: instant }, node)));
  clearInterval(timer);
  // The file takes half a second, and a turn some 10 ms.
  expect(turns).toBeGreaterThan(10);
});

test("an abort while other tasks run rejects the read, and nothing else", async () => {
  const store = createMemoryStore();
  const missing = directoryNode(makeDirectory([{ name: utf8("x"), node: { kind: "symlink", target: utf8("y") } }]), "documented");
  const controller = new AbortController();
  // The NAR has to wait for its turn, while the directory turns out to be missing.
  for (const from = performance.now(); performance.now() - from < 12; );
  const read = renderNar(store, missing, { signal: controller.signal }).getReader().read();
  const reason = new Error("enough");
  await Promise.resolve();
  controller.abort(reason);
  await expect(read).rejects.toBe(reason);
  await new Promise((resolve) => setImmediate(resolve));
});
