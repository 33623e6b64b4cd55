import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { equalBytes } from "../../src/bytes.ts";
import type { BlobService } from "../../src/castore/blob-service.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { withMethods } from "./with-methods.ts";

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

describe("what the uploader hands to the store", () => {
  /** Collects the calls. */
  function watched() {
    const { blobs } = createMemoryStore();
    const calls: { count: number; bytes: number; signal: AbortSignal | undefined }[] = [];
    const created: (AbortSignal | undefined)[] = [];
    const aborted: unknown[] = [];
    const service = withMethods(blobs, {
      putMany(all, options) {
        calls.push({ count: all.length, bytes: all.reduce((sum, { length }) => sum + length, 0), signal: options?.signal });
        return blobs.putMany(all, options);
      },
      async create(options) {
        created.push(options?.signal);
        const writer = await blobs.create(options);
        const abort: typeof writer.abort = async (reason) => {
          aborted.push(reason);
          await writer.abort(reason);
        };
        return { write: (bytes) => writer.write(bytes), close: () => writer.close(), abort };
      },
    });
    return { service, calls, created, aborted };
  }

  function add(uploader: BlobUploader, content: Uint8Array) {
    uploader.begin();
    uploader.write(content);
    return uploader.end();
  }

  test("is a batch of 1024 files, or of 2 MiB", async () => {
    const { service, calls } = watched();
    const uploader = new BlobUploader(service);
    for (let i = 0; i < 1025; i++) {
      add(uploader, Uint8Array.of(i, i >> 8));
      await uploader.drain();
    }
    await uploader.flush();
    expect(calls.map(({ count }) => count)).toEqual([1024, 1]);
    calls.length = 0;
    // The sixteenth file fills the batch.
    for (let i = 0; i < 17; i++) {
      add(uploader, pseudoRandom(131_072, i + 1));
      await uploader.drain();
    }
    await uploader.flush();
    expect(calls.map(({ count }) => count)).toEqual([16, 1]);
  });

  test("has the caller's signal", async () => {
    const { service, calls, created } = watched();
    const { signal } = new AbortController();
    const uploader = new BlobUploader(service, { signal });
    add(uploader, Uint8Array.of(1));
    add(uploader, pseudoRandom(131_073, 1));
    await uploader.flush();
    expect(calls.map((call) => call.signal)).toEqual([signal]);
    expect(created).toEqual([signal]);
  });

  test("is nothing more after an abort, which also aborts the current long file", async () => {
    const { service, calls, created, aborted } = watched();
    const uploader = new BlobUploader(service);
    const small = add(uploader, Uint8Array.of(1));
    uploader.begin();
    uploader.write(pseudoRandom(131_073, 1));
    await uploader.drain();
    uploader.write(pseudoRandom(10, 1));
    const reason = new Error("enough");
    await uploader.abort(reason);
    expect(aborted).toEqual([reason]);
    await uploader.flush();
    expect([calls.length, created.length, small.digest]).toEqual([0, 1, undefined]);
  });

  test("streams a file that is longer than 128 KiB, and no other", async () => {
    const { service, created } = watched();
    const uploader = new BlobUploader(service);
    for (const length of [0, 131_072]) add(uploader, pseudoRandom(length, 1));
    await uploader.flush();
    expect(created.length).toBe(0);
    const long = add(uploader, pseudoRandom(131_073, 1));
    expect(long.size).toBe(131_073);
    await uploader.flush();
    expect(created.length).toBe(1);
  });
});
