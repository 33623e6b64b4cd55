import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { pseudoRandom } from "../conformance/content.ts";
import { type FakeWorker, fakePool } from "./fake-pool.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

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

test("an aborted stream leaves its worker usable for others", async () => {
  const { pool } = fakePool(1);
  const stream = await pool.stream("sha256");
  await stream.update(new Uint8Array(10));
  stream.abort();
  const other = await pool.stream("sha256");
  expect(await other.digest()).toEqual(sha256(new Uint8Array(0)));
});

/** Lengths of the messages with bytes that a worker got. */
const lengths = ({ requests }: FakeWorker) => requests.flatMap((request) => (request.kind === "update" ? [request.length] : []));

test("short pieces are gathered, up to 64 KiB in a message", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  const content = pseudoRandom(100_000, 3);
  const stream = await pool.stream("sha256");
  for (let at = 0; at < 65_000; at += 1000) await stream.update(content.subarray(at, at + 1000));
  expect(lengths(worker)).toEqual([]);
  // This piece doesn't fit into the rest of the buffer.
  await stream.update(content.subarray(65_000, 66_000));
  expect(lengths(worker)).toEqual([65_000]);
  await stream.update(content.subarray(66_000));
  expect(await stream.digest()).toEqual(sha256(content));
  expect(lengths(worker)).toEqual([65_000, 35_000]);

  const exact = await pool.stream("sha256");
  await exact.update(content.subarray(0, 65_535));
  expect(lengths(worker).length).toBe(2);
  await exact.update(content.subarray(65_535, 65_536));
  expect(lengths(worker).slice(2)).toEqual([65_536]);
  expect(await exact.digest()).toEqual(sha256(content.subarray(0, 65_536)));
});

test("a buffer that is handed over comes after the gathered bytes, and comes back", async () => {
  const { pool, workers } = fakePool(1);
  const content = pseudoRandom(1000, 3);
  const stream = await pool.stream("sha256");
  await stream.update(content.subarray(0, 10));
  const back = await stream.give(content.slice(10).buffer as ArrayBuffer, 500);
  expect(new Uint8Array(back)).toEqual(content.slice(10));
  expect(lengths(workers[0] as FakeWorker)).toEqual([10, 500]);
  expect(await stream.digest()).toEqual(sha256(content.subarray(0, 510)));
});

test("after a buffer was lost, the stream accepts no more, and has no digest", async () => {
  const { pool, workers } = fakePool(1);
  const [worker] = workers as [FakeWorker];
  const stream = await pool.stream("sha256");
  worker.held.add("update");
  const lost = stream.give(new ArrayBuffer(10), 10);
  await Promise.resolve();
  worker.fail("update");
  worker.release();
  const failed = await lost.catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "internal" });
  await expect(stream.update(new Uint8Array(1))).rejects.toBe(failed);
  await expect(stream.give(new ArrayBuffer(1), 1)).rejects.toBe(failed);
  await expect(stream.digest()).rejects.toBe(failed);
});
