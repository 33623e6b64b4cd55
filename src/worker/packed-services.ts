import { equalBytes } from "../bytes.ts";
import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../castore/chunk-store.ts";
import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import type { Digest } from "../castore/digest.ts";
import { type DirectoryStore, StoredDirectoryService } from "../castore/directory-store.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import { mergePathInfo } from "../store/path-info-merge.ts";
import type { LocalPathInfoService } from "../store/path-info-service.ts";
import type { LocalStoreServices } from "../store/services.ts";
import { encodePathInfo } from "../wire/stored-messages.ts";
import { decodeBlob, encodeBlob } from "./blob-object.ts";
import { increment, type WriteTransaction } from "./database.ts";
import { BLOB, CHUNK, DIRECTORY } from "./object-table.ts";
import { type NewObject, ReadOnlyObjects, type WritableObjects } from "./object-view.ts";
import type { PackedStore } from "./packed-store.ts";
import { pathInfoRecords } from "./path-info-records.ts";
import { type SessionOptions, WriteSession } from "./write-session.ts";

export interface WriteOptions extends SessionOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Services that read the committed content. They refuse blobs and directories, but accept a
 * PathInfo, which they write in a session of its own.
 */
export function packedReader(store: PackedStore, engine: HashEngine): LocalStoreServices {
  const putAlone = (info: PathInfo): Promise<PathInfo> =>
    writing(store, { durability: "strict" }, (session) => putPathInfo(store, session, info));
  return services(store, new ReadOnlyObjects(store), engine, putAlone);
}

/**
 * Runs `work` with services that write. Only `work` sees the blobs and directories that it puts,
 * until it puts a PathInfo: that commits all of them. At the end, everything that was put after the
 * last PathInfo is deleted.
 */
export async function writePacked<T>(
  store: PackedStore,
  engine: HashEngine,
  options: WriteOptions,
  work: (services: LocalStoreServices, session: WriteSession) => Promise<T>,
): Promise<T> {
  return writing(store, options, (session) =>
    work(
      services(store, session, engine, (info) => putPathInfo(store, session, info)),
      session,
    ),
  );
}

async function writing<T>(store: PackedStore, options: WriteOptions, work: (session: WriteSession) => Promise<T>): Promise<T> {
  try {
    return await store.locks.writing(options.signal, () =>
      store.holding(async () => {
        // From here on, no pack that is in the index is removed.
        await store.refresh();
        const session = new WriteSession(store, options);
        try {
          return await work(session);
        } finally {
          await session.close();
        }
      }),
    );
  } finally {
    // Failed commits, and collections that ended while this session wrote, leave packs that can be
    // deleted only when nobody writes.
    store.sweepLater();
  }
}

function services(
  store: PackedStore,
  objects: WritableObjects,
  engine: HashEngine,
  putInfo: (info: PathInfo) => Promise<PathInfo>,
): LocalStoreServices {
  return {
    blobs: new ChunkedBlobService(new PackedChunkStore(objects), engine),
    directories: new StoredDirectoryService(new PackedDirectoryStore(objects)),
    pathInfos: new PackedPathInfoService(store, putInfo),
  };
}

/**
 * Reads, merges and writes the PathInfo in the transaction of the commit, so that no other tab can
 * interfere.
 */
async function putPathInfo(store: PackedStore, session: WriteSession, info: PathInfo): Promise<PathInfo> {
  await relyOn(session, info.node);
  const hashPart = parseHashPart(info.storePath);
  const news = await newPathInfo(store, hashPart, info);
  // A conflict does not end the session: it may still put other store paths.
  let outcome: PathInfo | { readonly failure: unknown } = info;
  const put = async (transaction: WriteTransaction): Promise<void> => {
    const records = transaction.objectStore("pathInfos");
    const earlier = await records.get(hashPart);
    try {
      outcome = mergePathInfo(info, earlier && undamaged(earlier));
    } catch (failure) {
      outcome = { failure };
      return;
    }
    await records.put(outcome, hashPart);
    await increment(transaction, "roots");
  };
  await session.commit(["pathInfos"], put, news);
  if ("failure" in outcome) throw outcome.failure;
  return outcome;
}

/**
 * Returns the PathInfo that a commit will store, for the trailer of a pack. Returns none if the
 * store has the same one already, or if the commit will fail.
 */
async function newPathInfo(store: PackedStore, hashPart: string, info: PathInfo): Promise<PathInfo[]> {
  if (store.storage !== "opfs") return [];
  const record = await store.database.read("pathInfos", (records) => records.get(hashPart));
  const earlier = record && undamaged(record);
  try {
    const merged = mergePathInfo(info, earlier);
    return earlier && equalBytes(encodePathInfo(merged), encodePathInfo(earlier)) ? [] : [merged];
  } catch {
    // The commit throws the same error, unless the record changes meanwhile.
    return [];
  }
}

/**
 * Returns the stored PathInfo, or `undefined` if it breaks a rule. Then the new PathInfo replaces
 * it.
 */
function undamaged(record: PathInfo): PathInfo | undefined {
  try {
    return checked(record);
  } catch {
    return undefined;
  }
}

/**
 * Makes the session rely on the content of a path info. A caller may put a path info again without
 * reading its content, for example to add a signature. Meanwhile the store path may have been
 * deleted, and its content collected.
 */
async function relyOn(session: WriteSession, node: Node): Promise<void> {
  if (node.kind === "symlink") return;
  if (node.kind === "directory") await session.has(DIRECTORY, [node.digest]);
  else for (const kind of [BLOB, CHUNK] as const) await session.has(kind, [node.digest]);
}

/** Stores chunks and blobs as objects. */
export class PackedChunkStore implements ChunkStore {
  readonly #objects: WritableObjects;

  constructor(objects: WritableObjects) {
    this.#objects = objects;
  }

  async getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    const found = await this.#objects.read(BLOB, blobs);
    return found.map((bytes, i) => bytes && decodeBlob(bytes, blobs[i] as Digest));
  }

  hasChunks(chunks: readonly Digest[]): Promise<boolean[]> {
    return this.#objects.has(CHUNK, chunks);
  }

  getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return this.#objects.read(CHUNK, chunks);
  }

  async put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void> {
    const objects: NewObject[] = chunks.map(({ digest, bytes }) => ({ kind: CHUNK, digest, bytes }));
    for (const blob of blobs) {
      // A blob of one chunk has no chunk list: it has the chunk's digest.
      if (blob.chunks.length > 0) objects.push({ kind: BLOB, digest: blob.digest, bytes: encodeBlob(blob) });
    }
    await this.#objects.write(objects);
  }
}

/** Stores directories as objects. */
export class PackedDirectoryStore implements DirectoryStore {
  readonly #objects: WritableObjects;

  constructor(objects: WritableObjects) {
    this.#objects = objects;
  }

  getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return this.#objects.read(DIRECTORY, digests);
  }

  putMany(directories: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<void> {
    return this.#objects.write(directories.map(({ digest, bytes }) => ({ kind: DIRECTORY, digest, bytes })));
  }
}

/** Stores path infos as records of the database. */
export class PackedPathInfoService implements LocalPathInfoService {
  readonly #store: PackedStore;
  readonly #put: (info: PathInfo) => Promise<PathInfo>;

  constructor(store: PackedStore, put: (info: PathInfo) => Promise<PathInfo>) {
    this.#store = store;
    this.#put = put;
  }

  async get(hashPart: string): Promise<PathInfo | undefined> {
    const info = await this.#store.database.read("pathInfos", (store) => store.get(hashPart));
    return info && checked(info);
  }

  async put(info: PathInfo): Promise<PathInfo> {
    checkPathInfo(info);
    return this.#put(info);
  }

  async *list(options?: { signal?: AbortSignal | undefined }): AsyncGenerator<PathInfo> {
    for await (const { info } of pathInfoRecords(this.#store.database, options?.signal)) yield checked(info);
  }

  async delete(hashPart: string): Promise<boolean> {
    return this.#store.database.write(["pathInfos"], "strict", async (transaction) => {
      const store = transaction.objectStore("pathInfos");
      const known = (await store.getKey(hashPart)) !== undefined;
      await store.delete(hashPart);
      return known;
    });
  }
}

/**
 * Checks a stored PathInfo: other code of this origin may have changed the record.
 *
 * @throws StoreError `corrupt` if the PathInfo breaks a rule
 */
function checked(info: PathInfo): PathInfo {
  try {
    checkPathInfo(info);
    return info;
  } catch (error) {
    throw new StoreError("corrupt", `the stored PathInfo of ${info.storePath} breaks a rule`, { cause: error });
  }
}
