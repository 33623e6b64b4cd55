import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { HashPool, type HashWorker } from "../../src/hash/pool.ts";
import { type HashReply, type HashRequest, HashServer } from "../../src/hash/pool-protocol.ts";
import { pseudoRandom } from "../conformance/content.ts";

/** A worker's side in this thread. Buffers are moved as `postMessage` moves them, and answers come in later turns. */
class FakeWorker implements HashWorker {
  readonly requests: HashRequest[] = [];
  terminated = false;
  /** Holds requests of these kinds back until they are answered by `release`. */
  held = new Set<HashRequest["kind"]>();
  /** Bytes of the buffers that were sent and not given back. */
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
  const pool = new HashPool(size, () => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker;
  });
  return { pool, workers };
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

test("many blobs have their digests in their order", async () => {
  const { pool } = fakePool(2);
  const blobs = [0, 1, 32, 70_000, 3].map((length, i) => pseudoRandom(length, i + 1));
  const expected = await new InlineHashEngine().blake3Many(blobs);
  expect(await pool.blake3Many(blobs)).toEqual(expected);
  expect(await pool.blake3Many([])).toEqual([]);
});

test("streams beside each other hash pieces of any length in the order of the calls", async () => {
  const { pool } = fakePool(2);
  const contents = [1, 2, 3, 4].map((seed) => pseudoRandom(600_000, seed));
  const digests = await Promise.all(
    contents.map(async (content, i) => {
      const stream = await pool.stream("sha256");
      for (let at = 0, step = 0; at < content.length; step++) {
        const length = [0, 1, 100, 65_536, 70_000, 7, 200_000][(step + i) % 7] as number;
        const piece = content.slice(at, at + length);
        await stream.update(piece);
        // It is the caller's again.
        piece.fill(0);
        at += length;
      }
      return stream.digest();
    }),
  );
  expect(digests).toEqual(contents.map(sha256));
  expect(await (await pool.stream("sha256")).digest()).toEqual(sha256(new Uint8Array(0)));
});

test("what a stream has on its way is bounded, however short its pieces are", async () => {
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
  // The window, and the one buffer that exceeded it.
  expect(worker.taken).toBeLessThanOrEqual(4 * 1024 * 1024 + 64 * 1024);
  worker.release();
  await writing;
  expect(await stream.digest()).toEqual(sha256(new Uint8Array(16 * count).fill(7)));
  expect(worker.taken).toBe(0);
});

test("a piece that failed fails the digest, also when the caller did not hear of it before", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  const stream = await pool.stream("blake3");
  worker.held.add("update");
  await stream.update(new Uint8Array(100_000));
  worker.fail("update");
  worker.release();
  await new Promise((resolve) => setTimeout(resolve));
  await expect(stream.digest()).rejects.toMatchObject({ code: "internal" });
});

test("a worker that dies takes only its own jobs with it, and another one takes its place", async () => {
  const { pool, workers } = fakePool(2);
  const [first, second] = workers as [FakeWorker, FakeWorker];
  first.held.add("many").add("update");
  second.held.add("many");
  const doomed = await pool.stream("sha256");
  await doomed.update(new Uint8Array(100_000));
  const blob = pseudoRandom(500, 9);
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

test("closing ends the workers, and what is under way or comes later rejects", async () => {
  const { pool, workers } = fakePool(2);
  const stream = await pool.stream("sha256");
  for (const worker of workers) worker.held.add("many");
  const underWay = pool.blake3Many([new Uint8Array(10)]);
  underWay.catch(() => {});
  pool.close();
  await expect(underWay).rejects.toMatchObject({ code: "closed" });
  await expect(stream.digest()).rejects.toMatchObject({ code: "closed" });
  await expect(pool.stream("sha256")).rejects.toMatchObject({ code: "closed" });
  await expect(pool.blake3Many([new Uint8Array(1)])).rejects.toMatchObject({ code: "closed" });
  expect(workers.map(({ terminated }) => terminated)).toEqual([true, true]);
});

test("a stream that was given up leaves the worker to others", async () => {
  const { pool } = fakePool(1);
  const stream = await pool.stream("sha256");
  await stream.update(new Uint8Array(10));
  stream.abort();
  const other = await pool.stream("sha256");
  expect(await other.digest()).toEqual(sha256(new Uint8Array(0)));
});
