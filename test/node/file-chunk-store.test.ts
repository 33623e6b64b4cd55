import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { toHex } from "../../src/bytes.ts";
import type { StoredChunk } from "../../src/castore/chunk-store.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { StoreError } from "../../src/error.ts";
import { compressZstd, decompressZstd } from "../../src/node/zstd.ts";
import { FileChunkStore } from "./file-chunk-store.ts";

/** Number of upcoming writes that fail. */
const disk = vi.hoisted(() => ({ failures: 0 }));
vi.mock("../../src/node/objects/durable-files.ts", async (original) => {
  const actual = await original<typeof import("../../src/node/objects/durable-files.ts")>();
  const writeFilesDurably: typeof actual.writeFilesDurably = async (...args) => {
    if (disk.failures > 0) {
      disk.failures--;
      throw new StoreError("quota", "the disk is full");
    }
    return actual.writeFilesDurably(...args);
  };
  return { ...actual, writeFilesDurably };
});

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-object-store-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const pathOf = (kind: string, digest: Uint8Array) => join(root, kind, "b3", toHex(digest).slice(0, 4), toHex(digest));

describe("ObjectChunkStore on staged files", () => {
  test("lays out chunks and blobs as tvix does, after a flush", async () => {
    const store = await FileChunkStore.open(root);
    const [one, two] = [bytes("one"), bytes("two")];
    const whole = digestOf(bytes("onetwo"));
    const list = [one, two].map((part) => ({ digest: digestOf(part), size: part.length }));
    await store.put(
      [one, two].map((part) => ({ digest: digestOf(part), bytes: part })),
      [
        { digest: whole, chunks: list },
        { digest: digestOf(one), chunks: [] },
      ],
    );
    await store.flush();
    expect(decompressZstd(await readFile(pathOf("chunks", digestOf(one))), 3, "chunk")).toEqual(one);
    // Field 2 of StatBlobResponse, twice. Each is a ChunkMeta of 36 bytes, with the digest in field
    // 1 and the size in field 2.
    const meta = (part: Uint8Array) => [0x12, 36, 0x0a, 32, ...digestOf(part), 0x10, part.length];
    expect([...(await readFile(pathOf("blobs", whole)))]).toEqual([...meta(one), ...meta(two)]);
    expect(await readFile(pathOf("blobs", digestOf(one)))).toHaveLength(0);
    expect(await readdir(join(root, "tmp"))).toEqual([]);

    const again = await FileChunkStore.open(root);
    expect(await again.getBlobs([whole, digestOf(two)])).toEqual([{ chunks: list }, undefined]);
    expect(await again.getChunks([digestOf(two), whole])).toEqual([two, undefined]);
    expect(await again.hasChunks([digestOf(two), whole])).toEqual([true, false]);
  });

  test("keeps the outboard in the field that tvix's StatBlobResponse has for it", async () => {
    const store = await FileChunkStore.open(root);
    const [one, two] = [bytes("one"), bytes("two")];
    const whole = digestOf(bytes("onetwo"));
    const entry = { chunks: [one, two].map((part) => ({ digest: digestOf(part), size: part.length })), bao: bytes("tree") };
    await store.put(
      [one, two].map((part) => ({ digest: digestOf(part), bytes: part })),
      [{ digest: whole, ...entry }],
    );
    await store.flush();
    // Field 3 follows the chunks.
    expect([...(await readFile(pathOf("blobs", whole))).subarray(-6)]).toEqual([0x1a, 4, ...bytes("tree")]);
    expect(await (await FileChunkStore.open(root)).getBlobs([whole])).toEqual([entry]);
  });

  test("returns objects before they are on the disk", async () => {
    const store = await FileChunkStore.open(root);
    const chunk = { digest: digestOf(bytes("early")), bytes: bytes("early") };
    await store.put([chunk], [{ digest: chunk.digest, chunks: [] }]);
    expect(existsSync(pathOf("chunks", chunk.digest))).toBe(false);
    expect(await store.getChunks([chunk.digest])).toEqual([chunk.bytes]);
    expect(await store.getBlobs([chunk.digest])).toEqual([{ chunks: [] }]);
    await store.close();
    expect(existsSync(pathOf("chunks", chunk.digest))).toBe(true);
    await expect(store.put([chunk], [])).rejects.toMatchObject({ code: "closed" });
  });

  test("returns all objects while batches are being written", async () => {
    const store = await FileChunkStore.open(root);
    const parts = Array.from({ length: 60 }, (_, i) => crypto.getRandomValues(new Uint8Array(65536)).fill(i, 0, 8));
    const chunks = Array.from({ length: 8 }, () => parts).flatMap((all, turn) =>
      all.map((part) => {
        const other = part.slice();
        other[0] = turn;
        return { digest: digestOf(other), bytes: other };
      }),
    );
    for (let i = 0; i < chunks.length; i += 40) {
      await store.put(chunks.slice(i, i + 40), []);
      const back = await store.getChunks(chunks.slice(0, i + 40).map(({ digest }) => digest));
      expect(back.every((found) => found !== undefined)).toBe(true);
    }
    await store.close();
    const again = await FileChunkStore.open(root);
    expect(await again.hasChunks(chunks.map(({ digest }) => digest))).toEqual(chunks.map(() => true));
  });

  test("keeps objects after a failed write, and writes them later", async () => {
    const store = await FileChunkStore.open(root);
    await rm(join(root, "tmp"), { recursive: true });
    const chunk = { digest: digestOf(bytes("kept")), bytes: bytes("kept") };
    await store.put([chunk], []);
    await expect(store.flush()).rejects.toMatchObject({ code: "unavailable" });
    expect(await store.getChunks([chunk.digest])).toEqual([chunk.bytes]);
    await FileChunkStore.open(root);
    await store.flush();
    expect(existsSync(pathOf("chunks", chunk.digest))).toBe(true);
  });

  test("accepts no more objects while nothing can be written", async () => {
    const store = await FileChunkStore.open(root);
    const [one, two] = ["one", "two"].map((text) => ({ digest: digestOf(bytes(text)), bytes: bytes(text) })) as [
      StoredChunk,
      StoredChunk,
    ];
    await store.put([one], []);
    await rm(join(root, "tmp"), { recursive: true });
    await expect(store.flush()).rejects.toMatchObject({ code: "unavailable" });
    await expect(store.put([two], [])).rejects.toMatchObject({ code: "unavailable" });
    expect(await store.hasChunks([one.digest, two.digest])).toEqual([true, false]);
    await mkdir(join(root, "tmp"));
    await store.put([two], []);
    expect(existsSync(pathOf("chunks", one.digest))).toBe(true);
    await store.close();
    expect(existsSync(pathOf("chunks", two.digest))).toBe(true);
  });

  test("writes everything if it is closed while a write fails", async () => {
    const store = await FileChunkStore.open(root);
    const chunk = { digest: digestOf(bytes("kept")), bytes: bytes("kept") };
    await store.put([chunk], []);
    disk.failures = 1;
    const failing = store.flush();
    await Promise.all([expect(failing).rejects.toMatchObject({ code: "quota" }), store.close()]);
    expect(existsSync(pathOf("chunks", chunk.digest))).toBe(true);
  });

  test("reports files that are no chunk or chunk list as corrupt", async () => {
    const store = await FileChunkStore.open(root);
    const chunk = { digest: digestOf(bytes("good")), bytes: bytes("good") };
    await store.put([chunk], [{ digest: chunk.digest, chunks: [] }]);
    await store.flush();
    await writeFile(pathOf("chunks", chunk.digest), "");
    await expect(store.getChunks([chunk.digest])).rejects.toMatchObject({ code: "corrupt" });
    await writeFile(pathOf("blobs", chunk.digest), new Uint8Array([0x12, 4, 0x0a, 2, 1, 2]));
    await expect(store.getBlobs([chunk.digest])).rejects.toMatchObject({ code: "corrupt" });
  });

  test("removes temporary files of an earlier process, but not those of a running one", async () => {
    await FileChunkStore.open(root);
    for (const name of ["old", "new"]) await writeFile(join(root, "tmp", name), "");
    await utimes(join(root, "tmp", "old"), 1, 1);
    await FileChunkStore.open(root);
    expect(await readdir(join(root, "tmp"))).toEqual(["new"]);
    await FileChunkStore.open(root, { exclusive: true });
    expect(await readdir(join(root, "tmp"))).toEqual([]);
  });
});

describe("zstd", () => {
  test("decompresses compressed bytes", () => {
    for (const size of [0, 1, 300, 70_000, 600_000]) {
      const content = new Uint8Array(size).map((_, i) => i % 251);
      expect(Buffer.compare(decompressZstd(compressZstd(content), size, "it"), content)).toBe(0);
    }
  });

  test("reads frames without a declared size", () => {
    // A window of 1 KiB. A raw block "ab", then the last block, 5 times "c".
    const frame = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x10, 0, 0, 0x61, 0x62, 0x2b, 0, 0, 0x63]);
    expect(decompressZstd(frame, 100, "it")).toEqual(bytes("abccccc"));
    expect(() => decompressZstd(frame, 6, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
  });

  test("refuses content above the limit without allocating it", () => {
    const huge = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]);
    expect(() => decompressZstd(huge, 1 << 24, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
    expect(() => decompressZstd(compressZstd(new Uint8Array(101)), 100, "it")).toThrow(
      expect.objectContaining({ code: "corrupt" }),
    );
  });

  test("refuses bytes that are no frame, or a part of one", () => {
    const frame = compressZstd(bytes("a frame to be cut"));
    for (let length = 0; length < frame.length; length++) {
      expect(() => decompressZstd(frame.subarray(0, length), 100, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
    }
    expect(() => decompressZstd(bytes("not a frame"), 100, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
  });
});
