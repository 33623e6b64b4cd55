import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { equalBytes, toHex } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import type { HashEngine } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { HashPool } from "../../src/hash/pool.ts";
import { SUBTREE_SIZE } from "../../src/hash/split-blake3.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { FakeWorker, fakePool } from "./fake-pool.ts";

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

test("a cutter takes bytes before its worker has opened it", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  worker.held.add("openCutter").add("cut");
  const cutter = await pool.cutter();
  const bytes = pseudoRandom(200_000, 3);
  const piece = cutter.push(bytes.slice().buffer, bytes.length);
  expect(worker.requests.map(({ kind }) => kind)).toEqual(["openCutter", "cut"]);
  worker.release();
  const { chunks } = await piece;
  const { chunks: last, digest } = await cutter.end();
  expect([...chunks, ...last].reduce((sum, { length }) => sum + length, 0)).toBe(200_000);
  expect([digest]).toEqual(await new InlineHashEngine().blake3Many([bytes]));
});

test("a cutter that can't be opened fails with the error of its opening", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  worker.held.add("openCutter");
  const cutter = await pool.cutter();
  const piece = cutter.push(new ArrayBuffer(1000), 1000);
  worker.fail("openCutter");
  await expect(piece).rejects.toThrow("out of memory");
  await expect(cutter.push(new ArrayBuffer(1000), 1000)).rejects.toThrow("out of memory");
  await expect(cutter.end()).rejects.toThrow("out of memory");
});

test("up to sixteen cutters leave the worker of a hash stream to the stream", async () => {
  const { pool, workers } = fakePool(2);
  const [first, second] = workers as [FakeWorker, FakeWorker];
  await pool.stream("sha256");
  for (let i = 0; i < 16; i++) await pool.cutter();
  expect([first, second].map(({ requests }) => requests.length)).toEqual([1, 16]);
  await pool.cutter();
  expect([first, second].map(({ requests }) => requests.length)).toEqual([2, 16]);
  pool.close();
});

test.each([
  ["stream", "open", (pool: HashPool) => pool.stream("sha256")],
  ["cutter", "openCutter", async (pool: HashPool) => (await pool.cutter()).end()],
] as const)("a %s that can't be opened no longer counts as work of its worker", async (_, kind, start) => {
  const { pool, workers } = fakePool(2);
  const [first, second] = workers as [FakeWorker, FakeWorker];
  first.held.add(kind);
  const failing = start(pool);
  first.fail(kind);
  await expect(failing).rejects.toMatchObject({ code: "internal" });
  first.release();
  await start(pool);
  // The worker without work is the first one again.
  expect(first.requests.filter((request) => request.kind === kind)).toHaveLength(2);
  expect(second.requests).toEqual([]);
  pool.close();
});
