import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../../castore/chunk-store.ts";
import { type Digest, formatDigest } from "../../castore/digest.ts";
import { StoreError } from "../../error.ts";
import { decodeBlobEntry, encodeBlobEntry } from "../../wire/stored-messages.ts";
import { inTurns } from "../parallel.ts";
import { compressZstd, decompressZstd } from "../zstd.ts";
import { JournalDrain } from "./journal-drain.ts";
import { ObjectFiles } from "./object-files.ts";
import type { ObjectJournal } from "./object-journal.ts";
import { type ObjectKind, objectPath, StagedObjects } from "./staged-objects.ts";

/**
 * Maximum size of a chunk, in bytes. Our chunks have at most 512 KiB, but other stores with this
 * layout may cut larger ones.
 */
const MAX_CHUNK_SIZE = 16 * 1024 * 1024;
/** Maximum size of a chunk file, in bytes. zstd adds a little to data that it can't compress. */
const MAX_CHUNK_FILE_SIZE = MAX_CHUNK_SIZE + MAX_CHUNK_SIZE / 128;
/**
 * Maximum size of a blob entry's file, in bytes: the chunk list and outboard of a blob of some 300
 * GiB.
 */
const MAX_BLOB_ENTRY_FILE_SIZE = 64 * 1024 * 1024;

/** Milliseconds after which staged objects are written without another reason. */
const IDLE = 1000;
/**
 * Limits for the journal, in bytes. Everything in the journal is written twice. That pays off for
 * batches of a few bytes, or of objects that are small on average.
 */
const FEW_BYTES = 1024 * 1024;
const SMALL_OBJECT = 16 * 1024;

interface Writing {
  readonly batch: StagedObjects;
  readonly done: Promise<void>;
  /**
   * Whether later writes to the journal's database only survive a crash together with this batch.
   */
  readonly isOrdered: boolean;
}

/**
 * Stores blobs on the file system, in the object store layout of tvix.
 * `blobs/b3/<first 2 bytes>/<digest>` holds a serialized StatBlobResponse, and
 * `chunks/b3/<first 2 bytes>/<digest>` a chunk compressed with zstd. Digests are in hexadecimal.
 *
 * Objects can be read as soon as they are put. They are written to disk later, in batches, because
 * flushing each small file separately takes milliseconds. Call `flush` before you publish a
 * reference to an object. If there is a journal, small objects are first flushed to the journal.
 * They become files when the store is idle or the journal is half full.
 */
export class FileChunkStore implements ChunkStore {
  readonly #files: ObjectFiles;
  readonly #journal: ObjectJournal | undefined;
  readonly #drain: JournalDrain | undefined;
  #staged = new StagedObjects();
  #writing: Writing | undefined;
  /** Whether the last write failed. Its objects are then still in memory. */
  #failing = false;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(files: ObjectFiles, journal: ObjectJournal | undefined) {
    this.#files = files;
    this.#journal = journal;
    this.#drain = journal && new JournalDrain(journal, files);
  }

  /**
   * @param root root directory, created if it is missing
   * @param options.exclusive whether no other program writes to this object store. `open` then
   *   removes all temporary files; otherwise it removes only those older than a day.
   * @param options.journal a journal that only this object store uses
   * @throws StoreError `denied`, `quota` or `unavailable` if the directory can't be opened
   */
  static async open(root: string, options: { exclusive?: boolean; journal?: ObjectJournal } = {}): Promise<FileChunkStore> {
    return new FileChunkStore(await ObjectFiles.open(root, options), options.journal);
  }

  async getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    return inTurns(blobs, (digest) => {
      const bytes = this.#read(objectPath("blobs", digest), MAX_BLOB_ENTRY_FILE_SIZE);
      // Copy, because the decoded entry refers to the bytes.
      return bytes && decodeBlobEntry(digest, bytes.slice());
    });
  }

  async getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return inTurns(chunks, (digest) => {
      const frame = this.#read(objectPath("chunks", digest), MAX_CHUNK_FILE_SIZE);
      return frame && decompressZstd(frame, MAX_CHUNK_SIZE, `chunk ${formatDigest(digest)}`);
    });
  }

  async hasChunks(chunks: readonly Digest[]): Promise<boolean[]> {
    return inTurns(chunks, (digest) => this.#has(objectPath("chunks", digest)));
  }

  /**
   * @throws StoreError `quota`, `denied` or `unavailable` if earlier puts can't be written; then
   *   nothing of this put is kept
   */
  async put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void> {
    this.#checkOpen();
    // The memory for staged objects must not grow while the disk is full or too slow.
    if (this.#failing) await this.#write();
    await this.#drain?.makeRoom();
    const chunkThere = await this.hasChunks(chunks.map(({ digest }) => digest));
    const blobThere = await inTurns(blobs, ({ digest }) => this.#has(objectPath("blobs", digest)));
    // `close` flushes the staged objects. Objects that are staged afterwards would never be
    // written.
    this.#checkOpen();
    chunks.forEach(({ digest, bytes }, i) => {
      if (bytes.length > MAX_CHUNK_SIZE) {
        throw new StoreError("invalid", `chunk ${formatDigest(digest)} is larger than ${MAX_CHUNK_SIZE} bytes`);
      }
      if (!chunkThere[i]) this.#stage("chunks", digest, () => compressZstd(bytes));
    });
    blobs.forEach((blob, i) => {
      if (!blobThere[i]) this.#stage("blobs", blob.digest, () => encodeBlobEntry(blob.digest, blob));
    });
    if (this.#staged.isFull) {
      if (this.#writing) await this.#writing.done;
      // Don't await, so that the next batch fills while this one is written. If the write fails,
      // the next `put` or `flush` throws.
      if (this.#staged.isFull) this.#write().catch(() => {});
    } else if (this.#staged.count > 0) {
      this.#idle ??= setTimeout(() => this.#write().catch(() => {}), IDLE).unref();
    }
  }

  /**
   * Resolves when everything that was put before survives a crash.
   *
   * @throws StoreError `quota`, `denied` or `unavailable` if it can't be written
   */
  async flush(): Promise<void> {
    // The running write may have begun before the last put. If it fails, its objects are written
    // again with the rest.
    if (this.#writing) await this.#writing.done.catch(() => {});
    await this.#write();
  }

  /**
   * Orders all earlier puts before later writes to the journal's database: if a later write
   * survives a crash, the earlier puts survive it too. This does not hold if the earlier puts can't
   * be written. `flush` throws that failure, so call it afterwards.
   */
  async order(): Promise<void> {
    if (this.#writing) await this.#writing.done.catch(() => {});
    const write = this.#write();
    if (this.#writing?.isOrdered) write.catch(() => {});
    else await write;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
    } finally {
      await this.#drain?.close();
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError("closed", `the object store ${this.#files.root} was closed`);
  }

  async #write(): Promise<void> {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (this.#writing) return this.#writing.done;
    if (this.#staged.count === 0) return;
    const batch = this.#staged;
    this.#staged = new StagedObjects();
    const journal = isSmall(batch) ? this.#journal : undefined;
    const done = (journal ? journal.add(batch) : this.#files.write([batch.chunks, batch.blobs])).then(
      () => {
        this.#writing = undefined;
        this.#failing = false;
        this.#drain?.schedule();
      },
      (error) => {
        this.#writing = undefined;
        this.#failing = true;
        // Stage the objects again for a retry: `put` has promised that they can be read.
        this.#staged = new StagedObjects(batch, this.#staged);
        throw error;
      },
    );
    this.#writing = { batch, done, isOrdered: journal !== undefined };
    return done;
  }

  /**
   * Stages the object, unless another call has put the same one while this call checked the files.
   */
  #stage(kind: ObjectKind, digest: Digest, encode: () => Uint8Array): void {
    const path = objectPath(kind, digest);
    if (!this.#isUnderWay(path)) this.#staged.add(kind, path, encode());
  }

  #has(path: string): boolean {
    return this.#isUnderWay(path) || this.#files.has(path);
  }

  /** Whether the object can be read from memory or the journal. Doesn't look for a file. */
  #isUnderWay(path: string): boolean {
    return this.#inMemory(path) !== undefined || (this.#journal?.has(path) ?? false);
  }

  /**
   * Reads an object from memory, the journal or a file. The bytes are only valid until the next
   * call.
   */
  #read(path: string, limit: number): Uint8Array | undefined {
    return this.#inMemory(path) ?? this.#journal?.get(path) ?? this.#files.read(path, limit);
  }

  #inMemory(path: string): Uint8Array | undefined {
    return this.#staged.get(path) ?? this.#writing?.batch.get(path);
  }
}

function isSmall({ bytes, count }: StagedObjects): boolean {
  return bytes <= FEW_BYTES || bytes <= count * SMALL_OBJECT;
}
