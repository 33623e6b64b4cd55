import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { kernel } from "../../src/hash/blake3.ts";
import { RecycledBuffers } from "../../src/hash/recycled-buffers.ts";
import { type HashSubtree, SplitBlake3, SUBTREE_SIZE } from "../../src/hash/split-blake3.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { fakePool } from "./fake-pool.ts";

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

/** Buffers that are counted: `out` is the number of those that were taken and not returned. */
class CountedBuffers extends RecycledBuffers {
  out = 0;

  override take(size: number): ArrayBuffer {
    this.out++;
    return super.take(size);
  }

  override give(buffer: ArrayBuffer | undefined): void {
    if (buffer) this.out--;
    super.give(buffer);
  }
}

/** A stream whose subtrees are hashed in this thread, in a later turn. Records the calls. */
function split(width = 4) {
  const calls: { buffer: ArrayBuffer; length: number; chunk: number; root: boolean }[] = [];
  const buffers = new CountedBuffers(2 ** 24);
  let inFlight = 0;
  let most = 0;
  const hash: HashSubtree = async (buffer, length, chunk, root) => {
    calls.push({ buffer, length, chunk, root });
    most = Math.max(most, ++inFlight);
    const bytes = new Uint8Array(buffer, 0, length);
    const value = root ? kernel.blake3(bytes) : kernel.subtree(bytes, chunk);
    await new Promise((resolve) => setImmediate(resolve));
    inFlight--;
    return { value, buffer };
  };
  return { stream: new SplitBlake3(hash, buffers, width), calls, buffers, most: () => most };
}

const SUBTREE_CHUNKS = SUBTREE_SIZE / 1024;
const content = pseudoRandom(4 * SUBTREE_SIZE, 5);

describe("content", () => {
  test.each([0, 1, SUBTREE_SIZE - 1, SUBTREE_SIZE])("of %d bytes is hashed at once, as the root", async (length) => {
    for (const size of [length || 1, 300_000]) {
      const { stream, calls, buffers } = split();
      for (let at = 0; at < length; at += size) await stream.update(content.subarray(at, Math.min(at + size, length)));
      expect(await stream.digest()).toEqual(kernel.blake3(content.subarray(0, length)));
      expect(calls).toMatchObject([{ length, chunk: 0, root: true }]);
      expect(buffers.out).toBe(0);
    }
  });

  test.each([SUBTREE_SIZE + 1, 2 * SUBTREE_SIZE, 2 * SUBTREE_SIZE + 1, 3 * SUBTREE_SIZE + 5])(
    "of %d bytes is hashed by subtree",
    async (length) => {
      for (const size of [length, 300_000, SUBTREE_SIZE]) {
        const { stream, calls, buffers } = split();
        for (let at = 0; at < length; at += size) await stream.update(content.subarray(at, Math.min(at + size, length)));
        expect(await stream.digest()).toEqual(kernel.blake3(content.subarray(0, length)));
        const expected = Array.from({ length: Math.ceil(length / SUBTREE_SIZE) }, (_, i) => ({
          length: Math.min(SUBTREE_SIZE, length - i * SUBTREE_SIZE),
          chunk: i * SUBTREE_CHUNKS,
          root: false,
        }));
        expect(calls.map(({ length, chunk, root }) => ({ length, chunk, root }))).toEqual(expected);
        expect(buffers.out).toBe(0);
      }
    },
  );

  test("has at most as many subtrees in flight as the width", async () => {
    for (const width of [1, 2]) {
      const { stream, most } = split(width);
      await stream.update(content);
      expect(await stream.digest()).toEqual(kernel.blake3(content));
      expect(most()).toBe(width);
    }
  });

  test("of calls that don't wait for each other is hashed in their order", async () => {
    const { stream } = split();
    const updates = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => stream.update(content.subarray(i * 400_000, (i + 1) * 400_000)));
    const digest = stream.digest();
    await Promise.all(updates);
    expect(await digest).toEqual(kernel.blake3(content.subarray(0, 3_200_000)));
  });
});

describe("a buffer that is handed over", () => {
  const subtree = (index: number, size = SUBTREE_SIZE) =>
    content.slice(index * SUBTREE_SIZE, index * SUBTREE_SIZE + size).buffer as ArrayBuffer;

  test("is sent as it is if it is a subtree, except the first, which may be the only one", async () => {
    const { stream, calls } = split();
    const given = [subtree(0), subtree(1), subtree(2), subtree(3, 1000)] as const;
    for (const buffer of given) expect(await stream.give(buffer, buffer.byteLength)).toBe(buffer);
    expect(await stream.digest()).toEqual(kernel.blake3(content.subarray(0, 3 * SUBTREE_SIZE + 1000)));
    expect(calls.map(({ buffer }) => given.indexOf(buffer as never))).toEqual([-1, 1, 2, -1]);
  });

  test("is copied if a subtree is not complete before it", async () => {
    const { stream, calls } = split();
    await stream.update(content.subarray(0, SUBTREE_SIZE + 1));
    const buffer = content.slice(SUBTREE_SIZE + 1, 2 * SUBTREE_SIZE + 1).buffer as ArrayBuffer;
    expect(await stream.give(buffer, SUBTREE_SIZE)).toBe(buffer);
    expect(await stream.digest()).toEqual(kernel.blake3(content.subarray(0, 2 * SUBTREE_SIZE + 1)));
    expect(calls.some((call) => call.buffer === buffer)).toBe(false);
  });

  test("must have the bytes", async () => {
    const { stream } = split();
    await expect(stream.give(new ArrayBuffer(10), 11)).rejects.toMatchObject({ code: "invalid" });
    // The stream goes on without them.
    await stream.update(content.subarray(0, 10));
    expect(await stream.digest()).toEqual(kernel.blake3(content.subarray(0, 10)));
  });
});

test("a subtree that can't be hashed fails the digest, and the calls after it", async () => {
  const lost = new StoreError("unavailable", "the worker died");
  const buffers = new RecycledBuffers(2 ** 24);
  let count = 0;
  const stream = new SplitBlake3(
    async (buffer, length, chunk) => {
      if (count++ === 1) throw lost;
      return { value: kernel.subtree(new Uint8Array(buffer, 0, length), chunk), buffer };
    },
    buffers,
    1,
  );
  // The failure of the second subtree is known when the third is sent.
  await expect(stream.update(content)).rejects.toBe(lost);
  await expect(stream.digest()).rejects.toBe(lost);
  expect(count).toBe(2);
});

test("an abort returns the buffer", async () => {
  const { stream, buffers, calls } = split();
  await stream.update(content.subarray(0, 100_000));
  expect(buffers.out).toBe(1);
  stream.abort();
  stream.abort();
  expect([buffers.out, calls.length]).toEqual([0, 0]);
});
