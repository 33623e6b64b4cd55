import { expect, test } from "vitest";
import { equalBytes } from "../../src/bytes.ts";
import { cutAll } from "../../src/castore/chunker.ts";
import type { CutChunk, HashEngine } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { checkOutboard } from "../../src/hash/outboard.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { type FakeWorker, fakePool } from "./fake-pool.ts";

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

test("an aborted cutter can't be ended, and leaves its worker usable for others", async () => {
  const { pool, workers } = fakePool(1);
  const cutter = await pool.cutter();
  await cutter.push(new ArrayBuffer(1000), 1000);
  cutter.abort();
  cutter.abort();
  await expect(cutter.end()).rejects.toMatchObject({ code: "internal" });
  const other = await pool.cutter();
  expect((await other.end()).outboard.size).toBe(0);
  // A late abort ends no other blob.
  cutter.abort();
  expect(workers[0]?.requests.at(-1)).toMatchObject({ kind: "abort", stream: 0 });
});
