import type { ChunkMeta } from "../castore/blob-service.ts";
import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../castore/chunk-store.ts";
import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import { asDigest, DIGEST_LENGTH, type Digest, formatDigest } from "../castore/digest.ts";
import { type DirectoryStore, StoredDirectoryService } from "../castore/directory-store.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import type { LocalPathInfoService } from "../store/path-info-service.ts";
import type { LocalStoreServices } from "../store/services.ts";
import type { BlobRecord, StoreDatabase } from "./indexeddb.ts";

/** A store in IndexedDB, which every browser has. */
export function createIndexedDbStore(database: StoreDatabase, engine: HashEngine): LocalStoreServices {
  return {
    blobs: new ChunkedBlobService(new IndexedDbChunkStore(database), engine),
    directories: new StoredDirectoryService(new IndexedDbDirectoryStore(database)),
    pathInfos: new IndexedDbPathInfoService(database),
  };
}

/**
 * Chunks and directories are written with relaxed durability: the browser may be killed right after, but what it told the operating
 * system stays. Only a PathInfo makes them reachable, and it is written strictly, after them, in the same database.
 */
const CONTENT_DURABILITY = "relaxed";

/** Chunks up to this length are written without asking whether they are there: the question costs as much as the answer saves. */
const REWRITE_LIMIT = 16 * 1024;

export class IndexedDbChunkStore implements ChunkStore {
  #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    const records = await this.#database.read("blobs", (store) => Promise.all(blobs.map((digest) => store.get(digest))));
    return records.map((record, i) => record && unpackBlob(record, blobs[i] as Digest));
  }

  async hasChunks(chunks: readonly Digest[]): Promise<boolean[]> {
    const keys = await this.#database.read("chunks", (store) => Promise.all(chunks.map((digest) => store.getKey(digest))));
    return keys.map((key) => key !== undefined);
  }

  async getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return this.#database.read("chunks", (store) => Promise.all(chunks.map((digest) => store.get(digest))));
  }

  async put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void> {
    const large = chunks.filter(({ bytes }) => bytes.length > REWRITE_LIMIT);
    const known = await this.hasChunks(large.map(({ digest }) => digest));
    const skipped = new Set(large.filter((_, i) => known[i]));
    await this.#database.write(["chunks", "blobs"], CONTENT_DURABILITY, async (transaction) => {
      const writes: Promise<unknown>[] = [];
      const store = transaction.objectStore("chunks");
      for (const chunk of chunks) {
        // A view would be stored with the whole buffer behind it.
        if (!skipped.has(chunk)) writes.push(store.put(tight(chunk.bytes), chunk.digest));
      }
      for (const { digest, chunks: list, bao } of blobs) {
        // A blob of one chunk is found by the chunk.
        if (list.length === 0) continue;
        const record = { chunks: packChunkList(list), ...(bao && { bao: tight(bao) }) };
        writes.push(transaction.objectStore("blobs").put(record, digest));
      }
      await Promise.all(writes);
    });
  }
}

export class IndexedDbDirectoryStore implements DirectoryStore {
  #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return this.#database.read("directories", (store) => Promise.all(digests.map((digest) => store.get(digest))));
  }

  async putMany(directories: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<void> {
    await this.#database.write(["directories"], CONTENT_DURABILITY, (transaction) => {
      const store = transaction.objectStore("directories");
      return Promise.all(directories.map(({ digest, bytes }) => store.put(tight(bytes), digest)));
    });
  }
}

/** How many are read at once while listing. */
const LIST_BATCH = 256;

export class IndexedDbPathInfoService implements LocalPathInfoService {
  #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async get(hashPart: string): Promise<PathInfo | undefined> {
    const info = await this.#database.read("pathInfos", (store) => store.get(hashPart));
    return info && checked(info);
  }

  async put(info: PathInfo): Promise<PathInfo> {
    checkPathInfo(info);
    await this.#database.write(["pathInfos"], "strict", (transaction) =>
      transaction.objectStore("pathInfos").put(info, parseHashPart(info.storePath)),
    );
    return info;
  }

  /** In batches with a transaction each, so that a slow reader keeps nobody waiting. */
  async *list(options?: { signal?: AbortSignal | undefined }): AsyncGenerator<PathInfo> {
    for (let after: string | undefined; ; ) {
      options?.signal?.throwIfAborted();
      const range = after === undefined ? undefined : IDBKeyRange.lowerBound(after, true);
      const batch = await this.#database.read("pathInfos", (store) => store.getAll(range, LIST_BATCH));
      for (const info of batch) yield checked(info);
      const last = batch.at(-1);
      if (!last || batch.length < LIST_BATCH) return;
      after = parseHashPart(last.storePath);
    }
  }

  async delete(hashPart: string): Promise<boolean> {
    return this.#database.write(["pathInfos"], "strict", async (transaction) => {
      const store = transaction.objectStore("pathInfos");
      const known = (await store.getKey(hashPart)) !== undefined;
      await store.delete(hashPart);
      return known;
    });
  }
}

/** What comes out of the database is not what went in if somebody else wrote there. */
function checked(info: PathInfo): PathInfo {
  try {
    checkPathInfo(info);
    return info;
  } catch (error) {
    throw new StoreError("corrupt", `the stored PathInfo of ${info.storePath} breaks a rule`, { cause: error });
  }
}

function tight(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}

const LIST_ENTRY = DIGEST_LENGTH + 8;

function packChunkList(chunks: readonly ChunkMeta[]): Uint8Array {
  const packed = new Uint8Array(chunks.length * LIST_ENTRY);
  const view = new DataView(packed.buffer);
  for (const [i, { digest, size }] of chunks.entries()) {
    packed.set(digest, i * LIST_ENTRY);
    view.setBigUint64(i * LIST_ENTRY + DIGEST_LENGTH, BigInt(size), true);
  }
  return packed;
}

function unpackBlob(record: BlobRecord, blob: Digest): BlobEntry {
  if (record instanceof Uint8Array) return { chunks: unpackChunkList(record, blob) };
  return { chunks: unpackChunkList(record.chunks, blob), bao: record.bao };
}

function unpackChunkList(packed: Uint8Array, blob: Digest): ChunkMeta[] {
  if (packed.length % LIST_ENTRY !== 0)
    throw new StoreError("corrupt", `the stored chunk list of blob ${formatDigest(blob)} is damaged`);
  const view = new DataView(packed.buffer, packed.byteOffset);
  return Array.from({ length: packed.length / LIST_ENTRY }, (_, i) => ({
    digest: asDigest(packed.slice(i * LIST_ENTRY, i * LIST_ENTRY + DIGEST_LENGTH)),
    size: Number(view.getBigUint64(i * LIST_ENTRY + DIGEST_LENGTH, true)),
  }));
}
