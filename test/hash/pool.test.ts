import { createHash } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { equalBytes, toHex } from "../../src/bytes.ts";
import { cutAll } from "../../src/castore/chunker.ts";
import { StoreError } from "../../src/error.ts";
import { COLLECT_LIMIT } from "../../src/hash/collected-sha256.ts";
import type { CutChunk, HashEngine } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { checkOutboard } from "../../src/hash/outboard.ts";
import { HashPool } from "../../src/hash/pool.ts";
import type { HashWorker } from "../../src/hash/pool-member.ts";
import { type HashReply, type HashRequest, HashServer } from "../../src/hash/pool-protocol.ts";
import { SUBTREE_SIZE } from "../../src/hash/split-blake3.ts";
import { pseudoRandom } from "../conformance/content.ts";

/**
 * Simulates a worker in this thread. Buffers are transferred as by `postMessage`, and replies come
 * in later turns of the event loop.
 */
class FakeWorker implements HashWorker {
  readonly requests: HashRequest[] = [];
  terminated = false;
  /** Kinds of requests that are held back until `release`. */
  held = new Set<HashRequest["kind"]>();
  /** Total size of the buffers that were sent and not returned, in bytes. */
  taken = 0;
  #server = new HashServer();
  #waiting: HashRequest[] = [];
  #onReply: (reply: HashReply) => void = () => {};
  #onLost: (error: StoreError) => void = () => {};

  postMessage(message: HashRequest, transfer: ArrayBuffer[]): void {
    const request = structuredClone(message, { transfer });
    this.requests.push(request);
    if ("buffer" in request) this.taken += request.buffer.byteLength;
    if (this.held.has(request.kind)) this.#waiting.push(request);
    else void this.#answer(request);
  }

  listen(onReply: (reply: HashReply) => void, onLost: (error: StoreError) => void): void {
    this.#onReply = onReply;
    this.#onLost = onLost;
  }

  terminate(): void {
    this.terminated = true;
  }

  release(): void {
    this.held.clear();
    for (const request of this.#waiting.splice(0)) void this.#answer(request);
  }

  fail(kind: HashRequest["kind"]): void {
    for (const { id } of this.#waiting.filter((request) => request.kind === kind)) {
      this.#onReply({ id, buffer: undefined, kind: "failed", message: "out of memory" });
    }
    this.#waiting = this.#waiting.filter((request) => request.kind !== kind);
  }

  die(): void {
    this.#onLost(new StoreError("unavailable", "the worker died"));
  }

  async #answer(request: HashRequest): Promise<void> {
    const reply = await this.#server.answer(request);
    if (this.terminated) return;
    this.taken -= reply.buffer?.byteLength ?? 0;
    this.#onReply(structuredClone(reply, { transfer: reply.buffer ? [reply.buffer] : [] }));
  }
}

function fakePool(size: number): { pool: HashPool; workers: FakeWorker[] } {
  const workers: FakeWorker[] = [];
  const spawn = (): FakeWorker => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker;
  };
  // The small limit makes the pool behave as with many workers. Otherwise it would send no short
  // blobs to workers.
  return { pool: new HashPool(size, spawn, 64 * 1024), workers };
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

test("digests of many blobs come in the order of the blobs", async () => {
  const { pool } = fakePool(2);
  const blobs = [0, 1, 32, 70_000, 3].map((length, i) => pseudoRandom(length, i + 1));
  const expected = await new InlineHashEngine().blake3Many(blobs);
  expect(await pool.blake3Many(blobs)).toEqual(expected);
  expect(await pool.blake3Many([])).toEqual([]);
});

test("many short blobs are hashed in this thread if there are only one or two workers", async () => {
  for (const size of [1, 2, 3]) {
    let requests = 0;
    const pool = new HashPool(size, () => {
      const worker = new FakeWorker();
      const post = worker.postMessage.bind(worker);
      worker.postMessage = (...message) => {
        requests++;
        post(...message);
      };
      return worker;
    });
    // A batch of an import: 2 MiB, and the file that made it full.
    const blobs = Array.from({ length: 17 }, (_, i) => pseudoRandom(128 * 1024, i));
    expect(await pool.blake3Many(blobs)).toEqual(await new InlineHashEngine().blake3Many(blobs));
    expect(requests > 0).toBe(size === 3);
    pool.close();
  }
});

test("concurrent streams hash pieces of any length in the order of the calls", async () => {
  const { pool } = fakePool(2);
  const contents = [1, 2, 3, 4].map((seed) => pseudoRandom(600_000, seed));
  const digests = await Promise.all(
    contents.map(async (content, i) => {
      const stream = await pool.stream("sha256");
      for (let at = 0, step = 0; at < content.length; step++) {
        const length = [0, 1, 100, 65_536, 70_000, 7, 200_000][(step + i) % 7] as number;
        const piece = content.slice(at, at + length);
        await stream.update(piece);
        // The buffer belongs to the caller again.
        piece.fill(0);
        at += length;
      }
      return stream.digest();
    }),
  );
  expect(digests).toEqual(contents.map(sha256));
  expect(await (await pool.stream("sha256")).digest()).toEqual(sha256(new Uint8Array(0)));
});

test("the bytes of a stream in flight are bounded, however short its pieces are", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  const stream = await pool.stream("sha256");
  worker.held.add("update");
  let accepted = 0;
  const piece = new Uint8Array(16).fill(7);
  const count = 2 ** 19;
  const writing = (async () => {
    for (; accepted < count; accepted++) await stream.update(piece);
  })();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(accepted).toBeLessThan(count);
  // The window, and the one buffer that exceeds it.
  expect(worker.taken).toBeLessThanOrEqual(4 * 1024 * 1024 + 64 * 1024);
  worker.release();
  await writing;
  expect(await stream.digest()).toEqual(sha256(new Uint8Array(16 * count).fill(7)));
  expect(worker.taken).toBe(0);
});

test("a failed piece fails the digest, even if the caller did not learn of the failure before", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  const stream = await pool.stream("sha256");
  worker.held.add("update");
  await stream.update(new Uint8Array(100_000));
  worker.fail("update");
  worker.release();
  await new Promise((resolve) => setTimeout(resolve));
  await expect(stream.digest()).rejects.toMatchObject({ code: "internal" });
});

test("long content is split by subtree", async () => {
  const { pool, workers } = fakePool(3);
  const lengths = [0, 1, 65_537, 2 ** 20, 2 ** 20 + 1, 2 ** 21 + 1, 5 * 2 ** 20, 7_654_321];
  const blobs = lengths.map((length) => pseudoRandom(length, length));
  const expected = await new InlineHashEngine().blake3Many(blobs);
  expect(await pool.blake3Many(blobs)).toEqual(expected);
  expect(workers.flatMap(({ requests }) => requests.filter(({ kind }) => kind === "subtree")).length).toBeGreaterThan(10);
  for (const [i, blob] of blobs.entries()) {
    const stream = await pool.stream("blake3");
    for (let at = 0; at < blob.length; at += 300_007) await stream.update(blob.subarray(at, at + 300_007));
    expect(await stream.digest()).toEqual(expected[i]);
  }
  // All buffers were returned.
  expect(workers.map(({ taken }) => taken)).toEqual([0, 0, 0]);
});

test("many blobs keep all workers busy, and leave capacity for other jobs", async () => {
  const { pool, workers } = fakePool(2);
  const blobs = Array.from({ length: 3000 }, (_, i) => pseudoRandom(1 + ((i * 37) % 4000), i));
  expect(await pool.blake3Many(blobs)).toEqual(await new InlineHashEngine().blake3Many(blobs));
  for (const { requests } of workers) expect(requests.length).toBeGreaterThan(1);

  for (const worker of workers) worker.held.add("subtree");
  const long = pool.blake3Many([new Uint8Array(64 * 2 ** 20)]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Each worker has two pieces in flight, not all 64.
  for (const { taken } of workers) expect(taken).toBe(2 * 2 ** 20);
  expect(await pool.blake3Many(blobs.slice(0, 2))).toHaveLength(2);
  for (const worker of workers) worker.release();
  expect(await long).toEqual(await new InlineHashEngine().blake3Many([new Uint8Array(64 * 2 ** 20)]));

  // Several long blobs also have only two pieces in flight at each worker.
  for (const worker of workers) worker.held.add("subtree");
  const several = pool.blake3Many(Array.from({ length: 4 }, () => new Uint8Array(8 * 2 ** 20)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(workers[0]?.taken).toBe(2 * 2 ** 20);
  for (const worker of workers) worker.release();
  expect(await several).toHaveLength(4);
});

test("a blob is cut, and hashed whole and in chunks, in one pass", async () => {
  const { pool, workers } = fakePool(2);
  const content = pseudoRandom(3_000_000, 5);
  const cut = async (engine: HashEngine) => {
    const cutter = await engine.cutter();
    const chunks: CutChunk[] = [];
    let buffer = new ArrayBuffer(400_000);
    for (let at = 0; at < content.length; at += buffer.byteLength) {
      const piece = content.subarray(at, at + buffer.byteLength);
      new Uint8Array(buffer).set(piece);
      const answer = await cutter.push(buffer, piece.length);
      expect(equalBytes(new Uint8Array(answer.buffer, 0, piece.length), piece)).toBe(true);
      chunks.push(...answer.chunks);
      buffer = answer.buffer;
    }
    const { chunks: last, digest, outboard } = await cutter.end();
    return { chunks: [...chunks, ...last], digest, outboard };
  };
  const found = await cut(pool);
  const parts = cutAll(content);
  const [digest, ...digests] = await pool.blake3Many([content, ...parts]);
  expect(found.digest).toEqual(digest);
  expect(found.chunks).toEqual(parts.map(({ length }, i) => ({ length, digest: digests[i] })));
  checkOutboard(found.outboard, found.digest);
  expect(found).toEqual(await cut(new InlineHashEngine()));
  expect(workers.map(({ taken }) => taken)).toEqual([0, 0]);
});

test("a blob of more than 4 GiB is cut and hashed", async () => {
  const size = 2 ** 32 + 12_345;
  const cutter = await new InlineHashEngine().cutter();
  let buffer = new ArrayBuffer(4 * 2 ** 20);
  let cut = 0;
  for (let at = 0; at < size; ) {
    const length = Math.min(buffer.byteLength, size - at);
    const answer = await cutter.push(buffer, length);
    buffer = answer.buffer;
    for (const chunk of answer.chunks) cut += chunk.length;
    at += length;
  }
  const { chunks, digest, outboard } = await cutter.end();
  // The hash comes from: head -c 4294979641 /dev/zero | b3sum
  expect(toHex(digest)).toBe("0d0aac14b8ef2891bdd2308e41ef7436c4aec8e0e9b27a057a17d174b0da51a8");
  for (const chunk of chunks) cut += chunk.length;
  expect(cut).toBe(size);
  expect([outboard.size, outboard.groupSize]).toEqual([size, 2 ** 20]);
  checkOutboard(outboard, digest);
});

test("a lost piece fails the cutting of its blob", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  const cutter = await pool.cutter();
  worker.held.add("cut");
  const lost = cutter.push(new ArrayBuffer(1000), 1000);
  worker.fail("cut");
  worker.release();
  await expect(lost).rejects.toMatchObject({ code: "internal" });
  await expect(cutter.push(new ArrayBuffer(1000), 1000)).rejects.toMatchObject({ code: "internal" });
  await expect(cutter.end()).rejects.toMatchObject({ code: "internal" });
  cutter.abort();
  expect((await (await pool.cutter()).end()).chunks).toEqual([]);
});

describe.each([
  ["a pool", () => fakePool(2).pool],
  ["this thread", () => new InlineHashEngine()],
] as [string, () => HashEngine][])("bad input to %s", (_, open) => {
  const gone = (): Uint8Array => {
    const bytes = new Uint8Array(100);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  };

  test("bytes of a detached buffer are refused and not hashed", async () => {
    const engine = open();
    await expect(engine.blake3Many([new Uint8Array(1), gone()])).rejects.toMatchObject({ code: "invalid" });
    for (const algorithm of ["blake3", "sha256"] as const) {
      const stream = await engine.stream(algorithm);
      await expect(stream.update(gone())).rejects.toMatchObject({ code: "invalid" });
      stream.abort();
    }
    const cutter = await engine.cutter();
    await expect(cutter.push(gone().buffer as ArrayBuffer, 100)).rejects.toMatchObject({ code: "invalid" });
    cutter.abort();
    for (const algorithm of ["blake3", "sha256"] as const) {
      const stream = await engine.stream(algorithm);
      await expect(stream.give(gone().buffer as ArrayBuffer, 100)).rejects.toMatchObject({ code: "invalid" });
      stream.abort();
    }
    const [empty] = await engine.blake3Many([new Uint8Array(0)]);
    expect(toHex(empty as Uint8Array)).toMatch(/^af1349b9/);
  });

  test("buffers that are handed over come back, and are hashed in order among copied pieces", async () => {
    const engine = open();
    const content = pseudoRandom(5 * SUBTREE_SIZE + 1000, 12);
    const [expected] = await new InlineHashEngine().blake3Many([content]);
    for (const sizes of [[SUBTREE_SIZE], [100_000], [SUBTREE_SIZE, 1000, SUBTREE_SIZE], [3 * SUBTREE_SIZE, SUBTREE_SIZE]]) {
      for (const algorithm of ["blake3", "sha256"] as const) {
        const stream = await engine.stream(algorithm);
        const given: Promise<void>[] = [];
        for (let at = 0, i = 0; at < content.length; i++) {
          const size = sizes[i % sizes.length] as number;
          const piece = content.slice(at, at + size);
          const kept = piece.slice();
          if (i % 5 === 4) await Promise.all([...given, stream.update(piece)]);
          else {
            const back = stream.give(piece.buffer, piece.length);
            given.push(back.then((buffer) => expect(equalBytes(new Uint8Array(buffer), kept)).toBe(true)));
          }
          at += size;
        }
        expect(await stream.digest()).toEqual(algorithm === "blake3" ? expected : sha256(content));
        await Promise.all(given);
      }
    }
  });

  test("an aborted stream or cutter leaves the engine usable for others", async () => {
    const engine = open();
    const content = pseudoRandom(3_000_000, 8);
    for (let i = 0; i < 50; i++) {
      const stream = await engine.stream(i % 2 ? "blake3" : "sha256");
      await stream.update(content.subarray(0, 1 + i * 50_000));
      stream.abort();
      const cutter = await engine.cutter();
      void cutter.push(new ArrayBuffer(500_000), 500_000).catch(() => {});
      cutter.abort();
    }
    const expected = await new InlineHashEngine().blake3Many([content]);
    expect(await engine.blake3Many([content])).toEqual(expected);
  });
});

test("SHA-256 uses crypto.subtle for one collected stream; longer and concurrent streams use the kernel", async () => {
  const engine = new InlineHashEngine();
  const lengths = [0, 1, 4095, 4096, 4097, 262_144, 262_145, COLLECT_LIMIT - 1, COLLECT_LIMIT, COLLECT_LIMIT + 1];
  const content = pseudoRandom(COLLECT_LIMIT + 1, 3);
  for (const length of lengths) {
    const stream = await engine.stream("sha256");
    for (let at = 0; at < length; at += 1_000_003) await stream.update(content.subarray(at, Math.min(at + 1_000_003, length)));
    expect(await stream.digest()).toEqual(sha256(content.subarray(0, length)));
  }
  const streams = await Promise.all([1, 2, 3].map(() => engine.stream("sha256")));
  for (const stream of streams) await stream.update(content.subarray(0, 1_000_000));
  streams[0]?.abort();
  for (const stream of streams.slice(1)) expect(await stream.digest()).toEqual(sha256(content.subarray(0, 1_000_000)));
});

test("SHA-256 collects no content that is known to be too long, here or in a worker", async () => {
  const content = pseudoRandom(300_000, 4);
  const digest = vi.spyOn(globalThis.crypto.subtle, "digest");
  try {
    for (const engine of [new InlineHashEngine(), fakePool(2).pool]) {
      for (const [size, collects] of [
        [COLLECT_LIMIT + 1, false],
        [COLLECT_LIMIT, true],
        [undefined, true],
      ] as const) {
        const stream = await engine.stream("sha256", { size });
        await stream.update(content);
        expect(await stream.digest()).toEqual(sha256(content));
        expect(digest).toHaveBeenCalledTimes(collects ? 1 : 0);
        digest.mockClear();
      }
    }
  } finally {
    digest.mockRestore();
  }
});

test("a caller that handed a buffer to a worker learns of the worker's death", async () => {
  const { pool, workers } = fakePool(2);
  const stream = await pool.stream("blake3");
  for (const worker of workers) worker.held.add("subtree");
  const given = Array.from({ length: 4 }, () => stream.give(new ArrayBuffer(SUBTREE_SIZE), SUBTREE_SIZE));
  const results = Promise.allSettled(given);
  await new Promise((resolve) => setTimeout(resolve, 20));
  workers[0]?.die();
  for (const worker of workers) worker.release();
  expect((await results).some(({ status }) => status === "rejected")).toBe(true);
  await expect(stream.digest()).rejects.toMatchObject({ code: "unavailable" });
});

test("a dead worker fails only its own jobs, and is replaced", async () => {
  const { pool, workers } = fakePool(2);
  const [first, second] = workers as [FakeWorker, FakeWorker];
  first.held.add("many").add("update");
  second.held.add("many");
  const doomed = await pool.stream("sha256");
  await doomed.update(new Uint8Array(100_000));
  const blob = pseudoRandom(70_000, 9);
  const safe = pool.blake3Many([blob]);
  expect(second.requests).toHaveLength(1);
  first.die();
  await expect(doomed.digest()).rejects.toMatchObject({ code: "unavailable" });
  await expect(doomed.update(blob)).rejects.toMatchObject({ code: "unavailable" });
  expect(first.terminated).toBe(true);

  const next = await pool.stream("sha256");
  await next.update(blob);
  expect(await next.digest()).toEqual(sha256(blob));
  expect(workers).toHaveLength(3);
  second.release();
  expect(await safe).toEqual(await new InlineHashEngine().blake3Many([blob]));
});

test("closing ends the workers, and rejects running and later jobs", async () => {
  const { pool, workers } = fakePool(2);
  const stream = await pool.stream("sha256");
  for (const worker of workers) worker.held.add("many");
  const underWay = pool.blake3Many([new Uint8Array(70_000)]);
  underWay.catch(() => {});
  pool.close();
  await expect(underWay).rejects.toMatchObject({ code: "closed" });
  await expect(stream.digest()).rejects.toMatchObject({ code: "closed" });
  await expect(pool.stream("sha256")).rejects.toMatchObject({ code: "closed" });
  await expect(pool.blake3Many([new Uint8Array(1)])).rejects.toMatchObject({ code: "closed" });
  expect(workers.map(({ terminated }) => terminated)).toEqual([true, true]);
});

test("a pool whose third worker can't be started ends the other two", () => {
  const workers: FakeWorker[] = [];
  const spawn = (): FakeWorker => {
    if (workers.length === 2) throw new StoreError("unavailable", "too many workers");
    workers.push(new FakeWorker());
    return workers.at(-1) as FakeWorker;
  };
  expect(() => new HashPool(3, spawn)).toThrow("too many workers");
  expect(workers.map(({ terminated }) => terminated)).toEqual([true, true]);
});

test.each([
  ["stream", "open", (pool: HashPool) => pool.stream("sha256")],
  ["cutter", "openCutter", (pool: HashPool) => pool.cutter()],
] as const)("a %s that can't be opened no longer counts as work of its worker", async (_, kind, start) => {
  const { pool, workers } = fakePool(2);
  const [first, second] = workers as [FakeWorker, FakeWorker];
  first.held.add(kind);
  const failing = start(pool);
  first.fail(kind);
  await expect(failing).rejects.toMatchObject({ code: "internal" });
  first.release();
  await start(pool);
  expect([first, second].map(({ requests }) => requests.length)).toEqual([2, 0]);
  pool.close();
});

test("an aborted stream leaves its worker usable for others", async () => {
  const { pool } = fakePool(1);
  const stream = await pool.stream("sha256");
  await stream.update(new Uint8Array(10));
  stream.abort();
  const other = await pool.stream("sha256");
  expect(await other.digest()).toEqual(sha256(new Uint8Array(0)));
});
