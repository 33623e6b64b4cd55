import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { equalBytes } from "../../src/bytes.ts";
import type { BlobService } from "../../src/castore/blob-service.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { pseudoRandom } from "../conformance/content.ts";

/** File sizes around the limits: of gathering, of a batch, and of streaming. */
const SIZES = [0, 1, 4095, 65_537, 131_071, 131_072, 131_073, 700_000];

test("files of any length get their own digests and content, whenever the uploader is flushed", async () => {
  const { blobs } = createMemoryStore();
  const uploader = new BlobUploader(blobs);
  const files: { content: Uint8Array; pending: { digest: ReturnType<typeof digestOf> | undefined } }[] = [];
  for (let i = 0; i < 120; i++) {
    const content = pseudoRandom(SIZES[(i * 5 + (i >> 3)) % SIZES.length] as number, i + 1);
    uploader.begin();
    const middle = content.length >> 1;
    uploader.write(content.subarray(0, middle));
    // A flush also comes in the middle of a file, because a directory may need the digests of its
    // files.
    if (i % 7 === 3) await uploader.flush();
    else if (i % 3 === 0) await uploader.drain();
    uploader.write(content.subarray(middle));
    files.push({ content, pending: uploader.end() });
    if (i % 2 === 0) await uploader.drain();
  }
  await uploader.flush();
  for (const { content, pending } of files) {
    expect(pending.digest).toEqual(digestOf(content));
    const [stored] = await blobs.readMany([digestOf(content)]);
    expect(stored && equalBytes(stored, content)).toBe(true);
  }
});

test("the writer of a long file is aborted if an earlier batch failed", async () => {
  const { blobs } = createMemoryStore();
  const failure = new Error("the batch failed");
  let aborted = 0;
  const failing: BlobService = {
    stat: (digests) => blobs.stat(digests),
    open: (digest) => blobs.open(digest),
    readMany: (digests) => blobs.readMany(digests),
    async create() {
      const writer = await blobs.create();
      return {
        write: (bytes) => writer.write(bytes),
        close: () => writer.close(),
        async abort(reason) {
          aborted++;
          await writer.abort(reason);
        },
      };
    },
    async putMany() {
      throw failure;
    },
  };
  const uploader = new BlobUploader(failing);
  // This is a full batch. It is stored while the long file is being written.
  for (let i = 0; i < 1024; i++) {
    uploader.begin();
    uploader.write(pseudoRandom(10, i + 1));
    uploader.end();
  }
  await uploader.drain();
  uploader.begin();
  uploader.write(pseudoRandom(700_000, 1));
  await uploader.drain();
  uploader.end();
  await expect(uploader.drain()).rejects.toBe(failure);
  await uploader.abort(failure).catch(() => {});
  expect(aborted).toBe(1);
});
