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

/** Ours are 512 KiB at most; other stores of this layout may cut larger ones. */
const MAX_CHUNK_SIZE = 16 * 1024 * 1024;
/** zstd adds a little to what it can't compress. */
const MAX_CHUNK_FILE_SIZE = MAX_CHUNK_SIZE + MAX_CHUNK_SIZE / 128;
/** The chunk list and outboard of some 300 GiB. */
const MAX_BLOB_ENTRY_FILE_SIZE = 64 * 1024 * 1024;

/** Written after so long without a reason, in milliseconds. */
const IDLE = 1000;
/** What is in the journal is written twice. That is worth it for a few bytes, or for objects that are this small on average. */
const FEW_BYTES = 1024 * 1024;
const SMALL_OBJECT = 16 * 1024;

interface Writing {
  readonly batch: StagedObjects;
  readonly done: Promise<void>;
  /** Whether what is written to the journal's database from now on does not survive a crash without it. */
  readonly isOrdered: boolean;
}

/**
 * Blobs on the file system, in the object store layout of tvix: `blobs/b3/<first 2 bytes>/<digest>` holds a serialized
 * StatBlobResponse, `chunks/b3/<first 2 bytes>/<digest>` a chunk compressed by zstd; digests in hexadecimal.
 *
 * What is put can be read back at once, and is written to the disk some time later, in batches, because bringing each small file to
 * the disk by itself takes milliseconds. Whoever publishes a name for it has to `flush` first. With a journal, what is small gets to
 * the disk there, and becomes files when there is time.
 */
export class FileChunkStore implements ChunkStore {
  readonly #files: ObjectFiles;
  readonly #journal: ObjectJournal | undefined;
  readonly #drain: JournalDrain | undefined;
  #staged = new StagedObjects();
  #writing: Writing | undefined;
  /** Whether the last write failed, so that what it was to bring to the disk is still in memory. */
  #failing = false;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(files: ObjectFiles, journal: ObjectJournal | undefined) {
    this.#files = files;
    this.#journal = journal;
    this.#drain = journal && new JournalDrain(journal, files);
  }

  /**
   * @param root is created where missing
   * @param options.exclusive nobody else writes there, so that all temporary files are left over; otherwise only those older than a day are
   * @param options.journal of this object store alone
   * @throws StoreError `denied`, `quota`, `unavailable`
   */
  static async open(root: string, options: { exclusive?: boolean; journal?: ObjectJournal } = {}): Promise<FileChunkStore> {
    return new FileChunkStore(await ObjectFiles.open(root, options), options.journal);
  }

  async getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    return inTurns(blobs, (digest) => {
      const bytes = this.#read(objectPath("blobs", digest), MAX_BLOB_ENTRY_FILE_SIZE);
      // What is decoded refers to it.
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

  /** @throws StoreError `quota`, `denied`, `unavailable` if earlier puts can't be written; then nothing of this one is kept */
  async put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void> {
    this.#checkOpen();
    // What is held must not grow while the disk takes nothing, or takes less than comes.
    if (this.#failing) await this.#write();
    await this.#drain?.makeRoom();
    const chunkThere = await this.hasChunks(chunks.map(({ digest }) => digest));
    const blobThere = await inTurns(blobs, ({ digest }) => this.#has(objectPath("blobs", digest)));
    // What is staged after `close` has flushed would never be written.
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
      // Not awaited, so that the next batch fills while this one is written. If it fails, the next `put` or `flush` tells.
      if (this.#staged.isFull) this.#write().catch(() => {});
    } else if (this.#staged.count > 0) {
      this.#idle ??= setTimeout(() => this.#write().catch(() => {}), IDLE).unref();
    }
  }

  /** Resolves when all that was put before survives a crash. @throws StoreError `quota`, `denied`, `unavailable` */
  async flush(): Promise<void> {
    // That one may have begun before all was put. If it fails, what it was to write is tried again with the rest.
    if (this.#writing) await this.#writing.done.catch(() => {});
    await this.#write();
  }

  /**
   * Resolves when nothing that is written to the journal's database from now on survives a crash without all that was put before,
   * unless that can't be written: the `flush` that has to come after tells.
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
        // Back, to be tried again: it was promised that it can be read.
        this.#staged = new StagedObjects(batch, this.#staged);
        throw error;
      },
    );
    this.#writing = { batch, done, isOrdered: journal !== undefined };
    return done;
  }

  /** While files were looked for, somebody else may have put the same. */
  #stage(kind: ObjectKind, digest: Digest, encode: () => Uint8Array): void {
    const path = objectPath(kind, digest);
    if (!this.#isUnderWay(path)) this.#staged.add(kind, path, encode());
  }

  #has(path: string): boolean {
    return this.#isUnderWay(path) || this.#files.has(path);
  }

  /** Whether it is readable, and no file as far as one knows without looking. */
  #isUnderWay(path: string): boolean {
    return this.#inMemory(path) !== undefined || (this.#journal?.has(path) ?? false);
  }

  /** The bytes are the caller's until the next call. */
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
