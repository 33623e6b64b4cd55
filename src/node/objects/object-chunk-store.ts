import { equalBytes } from "../../bytes.ts";
import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../../castore/chunk-store.ts";
import { type Digest, formatDigest } from "../../castore/digest.ts";
import type { ObjectStore } from "../../castore/object-store.ts";
import { StoreError, undefinedIfCorrupt } from "../../error.ts";
import { Turn } from "../../turn.ts";
import { decodeBlobEntry, encodeBlobEntry } from "../../wire/stored-messages.ts";
import { inParallel } from "../parallel.ts";
import { compressZstd, decompressZstd } from "../zstd.ts";
import { objectKey } from "./object-layout.ts";

/**
 * Maximum size of a chunk, in bytes. Our chunks have at most 512 KiB, but other stores with this
 * layout may cut larger ones.
 */
const MAX_CHUNK_SIZE = 16 * 1024 * 1024;
/**
 * Maximum size of a compressed chunk, in bytes. zstd adds a little to data that it can't compress.
 */
const MAX_CHUNK_OBJECT_SIZE = MAX_CHUNK_SIZE + MAX_CHUNK_SIZE / 128;
/**
 * Maximum size of a blob entry, in bytes: the chunk list and outboard of a blob of some 300 GiB.
 */
const MAX_BLOB_OBJECT_SIZE = 64 * 1024 * 1024;

/**
 * Stores blobs in an object store, in the layout of tvix and snix.
 * `blobs/b3/<first 2 bytes>/<digest>` holds a serialized StatBlobResponse, and
 * `chunks/b3/<first 2 bytes>/<digest>` a chunk compressed with zstd. Digests are in hexadecimal.
 */
export class ObjectChunkStore implements ChunkStore {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  async getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    return inParallelTurns(blobs, async (digest) => {
      const bytes = await this.#objects.get(objectKey("blobs", digest), { limit: MAX_BLOB_OBJECT_SIZE });
      return bytes && decodeBlobEntry(digest, bytes);
    });
  }

  async getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return inParallelTurns(chunks, async (digest) => {
      const frame = await this.#objects.get(objectKey("chunks", digest), { limit: MAX_CHUNK_OBJECT_SIZE });
      return frame && decompressZstd(frame, MAX_CHUNK_SIZE, `chunk ${formatDigest(digest)}`);
    });
  }

  async hasChunks(chunks: readonly Digest[]): Promise<boolean[]> {
    return inParallelTurns(chunks, (digest) => this.#objects.has(objectKey("chunks", digest)));
  }

  /**
   * Compresses and stores the chunks and blobs that the store lacks. It reads existing objects, and
   * replaces each object that differs from the new one. Such an object is damaged, or another
   * program wrote it: with other chunks, or without an outboard.
   *
   * @throws StoreError `invalid` if a chunk has more than 16 MiB; otherwise as
   *   `ObjectStore.putMany`
   */
  async put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void> {
    for (const { digest, bytes } of chunks) {
      if (bytes.length > MAX_CHUNK_SIZE)
        throw new StoreError("invalid", `chunk ${formatDigest(digest)} is larger than ${MAX_CHUNK_SIZE} bytes`);
    }
    const [newChunks, newBlobs] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    await inParallelTurns(chunks, async ({ digest, bytes }) => {
      const key = objectKey("chunks", digest);
      if (newChunks.has(key) || (await this.#holds(digest, bytes))) return;
      newChunks.set(key, compressZstd(bytes));
    });
    await inParallelTurns(blobs, async (blob) => {
      const key = objectKey("blobs", blob.digest);
      const entry = encodeBlobEntry(blob.digest, blob);
      const stored = await undefinedIfCorrupt(this.#objects.get(key, { limit: MAX_BLOB_OBJECT_SIZE }));
      if (!stored || !equalBytes(stored, entry)) newBlobs.set(key, entry);
    });
    await this.#objects.putMany([newChunks, newBlobs]);
  }

  /** Whether the stored chunk is intact, that is, equal to `bytes`. */
  async #holds(chunk: Digest, bytes: Uint8Array): Promise<boolean> {
    const [stored] = (await undefinedIfCorrupt(this.getChunks([chunk]))) ?? [];
    return stored !== undefined && equalBytes(stored, bytes);
  }
}

/**
 * Calls `work` for each item, several at a time. It lets other tasks run in between. Otherwise,
 * reads from memory or the page cache would block the event loop.
 */
function inParallelTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const turn = new Turn(undefined, 1);
  let begun = 0;
  let pass: Promise<void> | undefined;
  return inParallel(items, async (item) => {
    // All items share one turn. The first item starts at once: a short request has no other.
    if (begun++ > 0) {
      pass ??= turn.pass().finally(() => {
        pass = undefined;
      });
      await pass;
    }
    return work(item);
  });
}
