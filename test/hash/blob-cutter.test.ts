import { expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { SyncBlobCutter } from "../../src/hash/blob-cutter.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { checkOutboard } from "../../src/hash/outboard.ts";

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
  // On a busy machine, hashing takes minutes.
}, 600_000);

test("blobs that are ended or aborted leave no memory in use", () => {
  const bytes = new Uint8Array(10);
  // The kernel has room for some 5000 passes at a time.
  for (let i = 0; i < 12_000; i++) {
    const cutter = new SyncBlobCutter();
    cutter.update(bytes);
    if (i % 2 === 0) expect(cutter.end().chunks.length).toBe(1);
    cutter.abort();
  }
  const cutter = new SyncBlobCutter();
  cutter.update(bytes);
  expect(cutter.end()).toMatchObject({ digest: blake3(bytes), outboard: { size: 10 } });
  expect(() => cutter.update(bytes)).toThrow(TypeError);
});
