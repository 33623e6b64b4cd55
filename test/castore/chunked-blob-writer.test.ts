import { beforeEach, describe, expect, test } from "vitest";
import { MemoryChunkStore } from "../../src/backends/memory.ts";
import { concatBytes, equalBytes } from "../../src/bytes.ts";
import type { BlobWriter } from "../../src/castore/blob-service.ts";
import { sizeOfChunks } from "../../src/castore/chunk-list.ts";
import { ChunkedBlobWriter } from "../../src/castore/chunked-blob-writer.ts";
import { digestKey, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { BlobCutter, CutPiece } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { encodeOutboard, outboardOf } from "../../src/hash/outboard.ts";
import { RecycledBuffers } from "../../src/hash/recycled-buffers.ts";
import { pseudoRandom } from "../conformance/content.ts";

const content = pseudoRandom(3_000_000, 31);
const engine = new InlineHashEngine();
const MIB = 1024 * 1024;

let store: MemoryChunkStore;
let buffers: RecycledBuffers;
beforeEach(() => {
  store = new MemoryChunkStore();
  buffers = new RecycledBuffers(16 * MIB);
});

function open(signal?: AbortSignal): Promise<ChunkedBlobWriter> {
  return ChunkedBlobWriter.open(store, engine, buffers, { signal });
}

/** An engine whose cutters differ from the real ones by `change`. */
class ChangedEngine extends InlineHashEngine {
  aborted = 0;
  readonly #change: (cutter: BlobCutter) => Partial<BlobCutter>;

  constructor(change: (cutter: BlobCutter) => Partial<BlobCutter> = () => ({})) {
    super();
    this.#change = change;
  }

  override async cutter(): Promise<BlobCutter> {
    const cutter = await super.cutter();
    const abort = (): void => {
      this.aborted++;
      cutter.abort();
    };
    return { ...cutter, abort, ...this.#change(cutter) };
  }
}

async function expectClosed(writer: BlobWriter): Promise<void> {
  for (const call of [() => writer.write(content), () => writer.close()])
    await expect(call()).rejects.toMatchObject({ name: "StoreError", code: "closed" });
}

describe("a blob", () => {
  test("of several chunks is stored with their list and its outboard", async () => {
    const writer = await open();
    await writer.write(content);
    const { digest, size } = await writer.close();
    expect([digest, size]).toEqual([digestOf(content), content.length]);
    const entry = store.blobs.get(digestKey(digest));
    const chunks = entry?.chunks ?? [];
    expect(chunks.length).toBeGreaterThan(3);
    expect(sizeOfChunks(chunks)).toBe(content.length);
    const stored = chunks.map((chunk) => store.chunks.get(digestKey(chunk.digest)) as Uint8Array);
    expect(stored.map(({ length }) => length)).toEqual(chunks.map((chunk) => chunk.size));
    expect(equalBytes(concatBytes(stored), content)).toBe(true);
    expect(entry?.bao).toEqual(encodeOutboard(outboardOf(content).outboard));
  });

  test("of one chunk is stored without a list and an outboard", async () => {
    const writer = await open();
    await writer.write(content.subarray(0, 1000));
    const { digest } = await writer.close();
    expect([...store.blobs]).toEqual([[digestKey(digest), { chunks: [], bao: undefined }]]);
    expect([...store.chunks]).toEqual([[digestKey(digest), content.slice(0, 1000)]]);
  });

  test("of no bytes is not stored", async () => {
    const writer = await open();
    await writer.write(new Uint8Array(0));
    expect(await writer.close()).toEqual({ digest: EMPTY_DIGEST, size: 0 });
    expect(store.blobs.size + store.chunks.size).toBe(0);
  });

  test("can be cut without being stored", async () => {
    const writer = await open();
    await writer.write(content);
    const { chunks, blob } = await writer.cut();
    expect(store.blobs.size + store.chunks.size).toBe(0);
    expect(blob.digest).toEqual(digestOf(content));
    expect(blob.chunks).toEqual(chunks.map(({ digest, bytes }) => ({ digest, size: bytes.length })));
    expect(equalBytes(concatBytes(chunks.map(({ bytes }) => bytes)), content)).toBe(true);
    await expectClosed(writer);
  });

  test("is the same whatever the pieces that come", async () => {
    for (const length of [1, 4095, 262_144, 262_145]) {
      const short = content.subarray(0, length === 1 ? 1000 : 1_200_000);
      const writer = await open();
      for (let at = 0; at < short.length; at += length) await writer.write(short.subarray(at, at + length));
      expect(await writer.close()).toEqual({ digest: digestOf(short), size: short.length });
    }
  });
});

describe("the cutter", () => {
  test("has less than 16 MiB at a time, in any number of buffers", async () => {
    let [now, most, pushed] = [0, 0, 0];
    const slow = new ChangedEngine((cutter) => ({
      async push(buffer, length) {
        pushed++;
        now += length;
        most = Math.max(most, now);
        await new Promise((resolve) => setImmediate(resolve));
        const piece = await cutter.push(buffer, length);
        now -= length;
        return piece;
      },
    }));
    const writer = await ChunkedBlobWriter.open(store, slow, buffers, {});
    for (let i = 0; i < 3; i++) await writer.write(content);
    // Nothing has come back yet.
    expect([pushed > 3, now]).toEqual([true, most]);
    for (let i = 0; i < 10; i++) await writer.write(content);
    await writer.close();
    expect(now).toBe(0);
    expect(most).toBeGreaterThanOrEqual(12 * MIB);
    expect(most).toBeLessThan(16 * MIB);
  });

  test("gets its buffers again once their chunks are stored", async () => {
    const sent: ArrayBuffer[] = [];
    const counting = new ChangedEngine((cutter) => ({
      push(buffer, length) {
        sent.push(buffer);
        return cutter.push(buffer, length);
      },
    }));
    const writer = await ChunkedBlobWriter.open(store, counting, buffers, {});
    for (let i = 0; i < 30; i++) await writer.write(content);
    await writer.close();
    const full = sent.filter(({ byteLength }) => byteLength === 4 * 1024 * 1024);
    expect(full.length).toBeGreaterThan(15);
    expect(new Set(full).size).toBeLessThanOrEqual(6);
    expect(sent[0]?.byteLength).toBe(256 * 1024);
  });

  test("that says a chunk is longer than its bytes is at fault", async () => {
    const digest = digestOf(content);
    const wrong = new ChangedEngine(() => ({
      push: async (buffer): Promise<CutPiece> => ({ buffer, chunks: [{ length: 11, digest }] }),
    }));
    const writer = await ChunkedBlobWriter.open(store, wrong, buffers, {});
    await writer.write(content.subarray(0, 10));
    await expect(writer.close()).rejects.toMatchObject({ code: "internal" });
    expect(wrong.aborted).toBe(1);
  });

  test("that fails ends the writer", async () => {
    const failure = new Error("the worker ended");
    const failing = new ChangedEngine(() => ({ push: () => Promise.reject(failure) }));
    const writer = await ChunkedBlobWriter.open(store, failing, buffers, {});
    await writer.write(content.subarray(0, 10));
    await expect(writer.close()).rejects.toBe(failure);
    await expect(writer.write(content)).rejects.toBe(failure);
    expect(failing.aborted).toBe(1);
  });
});

describe("an abort", () => {
  const reason = new Error("enough");

  test("before the writer is opened ends the cutter", async () => {
    const counting = new ChangedEngine();
    await expect(ChunkedBlobWriter.open(store, counting, buffers, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(counting.aborted).toBe(1);
  });

  test.each(["write", "close", "cut"] as const)("by the signal ends %s with its reason, and each call after it", async (call) => {
    const controller = new AbortController();
    const counting = new ChangedEngine();
    const writer = await ChunkedBlobWriter.open(store, counting, buffers, { signal: controller.signal });
    await writer.write(content);
    controller.abort(reason);
    const calls = { write: () => writer.write(content), close: () => writer.close(), cut: () => writer.cut() };
    await expect(calls[call]()).rejects.toBe(reason);
    expect(counting.aborted).toBe(1);
    for (const later of Object.values(calls)) await expect(later()).rejects.toBe(reason);
    expect(store.blobs.size).toBe(0);
  });

  test("with a reason that is no error closes the writer", async () => {
    const controller = new AbortController();
    const writer = await open(controller.signal);
    controller.abort("enough");
    await expect(writer.write(content)).rejects.toBe("enough");
    await expect(writer.close()).rejects.toMatchObject({ code: "closed", cause: "enough" });
  });

  test("while the last chunks are hashed stores no blob", async () => {
    const controller = new AbortController();
    const late = new ChangedEngine((cutter) => ({
      end() {
        controller.abort(reason);
        return cutter.end();
      },
    }));
    const writer = await ChunkedBlobWriter.open(store, late, buffers, { signal: controller.signal });
    await writer.write(content);
    await expect(writer.close()).rejects.toBe(reason);
    expect(store.blobs.size + store.chunks.size).toBe(0);
  });

  test("while content is stored stops before the next batch", async () => {
    const controller = new AbortController();
    let puts = 0;
    const put = store.put.bind(store);
    store.put = async (chunks, blobs) => {
      puts++;
      controller.abort(reason);
      await put(chunks, blobs);
    };
    const writer = await open(controller.signal);
    const all = async (): Promise<void> => {
      for (let i = 0; i < 20; i++) await writer.write(content);
    };
    await expect(all()).rejects.toBe(reason);
    expect(puts).toBe(1);
  });

  test("by a call closes the writer, and does nothing the second time", async () => {
    const counting = new ChangedEngine();
    const writer = await ChunkedBlobWriter.open(store, counting, buffers, {});
    await writer.write(content);
    await writer.abort();
    expect(counting.aborted).toBe(1);
    await writer.abort();
    await expectClosed(writer);
    expect(store.blobs.size + store.chunks.size).toBe(0);
  });

  test("after the end leaves the blob, and the writer stays closed", async () => {
    const writer = await open();
    await writer.write(content);
    const { digest } = await writer.close();
    await writer.abort();
    await expectClosed(writer);
    expect(store.blobs.has(digestKey(digest))).toBe(true);
  });
});

describe("a writer", () => {
  test("uses buffers of earlier writers again, and stores the right bytes", async () => {
    const sent: ArrayBuffer[] = [];
    const counting = new ChangedEngine((cutter) => ({
      push(buffer, length) {
        sent.push(buffer);
        return cutter.push(buffer, length);
      },
    }));
    for (const part of [3, 1, 2]) {
      const bytes = content.map((byte, i) => byte ^ (part * i));
      const writer = await ChunkedBlobWriter.open(store, counting, buffers, {});
      await writer.write(bytes);
      const { digest } = await writer.close();
      expect(digest).toEqual(digestOf(bytes));
      const { chunks = [] } = store.blobs.get(digestKey(digest)) ?? {};
      const stored = chunks.map((chunk) => store.chunks.get(digestKey(chunk.digest)) as Uint8Array);
      expect(equalBytes(concatBytes(stored), bytes)).toBe(true);
    }
    expect(new Set(sent).size).toBeLessThanOrEqual(sent.length / 2);
  });

  test("passes chunks to the store while content comes, and the blob at the end", async () => {
    const writer = await open();
    const piece = pseudoRandom(1_000_000, 5);
    const before = store.chunks.size;
    for (let i = 0; i < 40; i++) await writer.write(piece.map((byte) => byte ^ i));
    expect(store.chunks.size).toBeGreaterThan(before + 20);
    expect(store.blobs.size).toBe(0);
    await writer.close();
    expect(store.blobs.size).toBe(1);
  });

  test("does not change or detach the caller's buffers", async () => {
    const writer = await open();
    const bytes = new Uint8Array(700_001);
    for (let i = 0; i < 10; i++) await writer.write(bytes.fill(i));
    expect(bytes.byteLength).toBe(700_001);
    const { digest } = await writer.close();
    expect(digest).toEqual(digestOf(Uint8Array.from({ length: 7_000_010 }, (_, i) => Math.floor(i / 700_001))));
  });

  test("fails if the store fails, and can be aborted then", async () => {
    store.put = async () => {
      throw new Error("the disk is full");
    };
    const writer = await open();
    await expect(
      (async () => {
        for (let i = 0; i < 20; i++) await writer.write(content);
        await writer.close();
      })(),
    ).rejects.toThrow("the disk is full");
    await writer.abort();
  });

  test("does not succeed after a failure", async () => {
    const put = store.put.bind(store);
    const writer = await open();
    store.put = async () => {
      store.put = put;
      throw new Error("the disk is full");
    };
    const failures: unknown[] = [];
    for (let i = 0; i < 8; i++) await writer.write(content).catch((error) => failures.push(error));
    expect(failures.length).toBeGreaterThan(1);
    await expect(writer.close()).rejects.toThrow("the disk is full");
    // All chunks in the store match their digests.
    for (const [key, bytes] of store.chunks) expect(digestKey(digestOf(bytes))).toBe(key);
  });

  test("refuses bytes whose buffer was transferred", async () => {
    const bytes = new Uint8Array(100);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    const writer = await open();
    await expect(writer.write(bytes)).rejects.toMatchObject({ code: "invalid" });
    await expect(writer.close()).rejects.toMatchObject({ code: "invalid" });
  });
});
