import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { toHex } from "../bytes.ts";
import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../castore/chunk-store.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import { decodeBlobEntry, encodeBlobEntry } from "../wire/stored-messages.ts";
import { type NewFile, writeFilesDurably } from "./durable-files.ts";
import { fileError, systemErrorCode, writeError } from "./file-error.ts";
import { inTurns } from "./parallel.ts";
import { compressZstd, decompressZstd } from "./zstd.ts";

/** Ours are 512 KiB at most; other stores of this layout may cut larger ones. */
const MAX_CHUNK_SIZE = 16 * 1024 * 1024;
/** zstd adds a little to what it can't compress. */
const MAX_CHUNK_FILE_SIZE = MAX_CHUNK_SIZE + MAX_CHUNK_SIZE / 128;
/** The chunk list and outboard of some 300 GiB. */
const MAX_BLOB_ENTRY_FILE_SIZE = 64 * 1024 * 1024;

/** What waits to be written together, in bytes and in files. Twice as much may be in memory, while one half is on its way. */
const STAGED_BYTES = 16 * 1024 * 1024;
const STAGED_FILES = 8192;
/** Bytes that are read at once, of files that are longer as well: more than our chunks have. */
const READ_BUFFER = 640 * 1024;
/** Written after so long without a reason, in milliseconds. */
const IDLE = 1000;

interface Batch {
  readonly chunks: Map<string, Uint8Array>;
  readonly blobs: Map<string, Uint8Array>;
  bytes: number;
}

/**
 * Blobs on the file system, in the object store layout of tvix: `blobs/b3/<first 2 bytes>/<digest>` holds a serialized
 * StatBlobResponse, `chunks/b3/<first 2 bytes>/<digest>` a chunk compressed by zstd; digests in hexadecimal.
 *
 * What is put can be read back at once, and is written to the disk some time later, in batches, because bringing each small file to
 * the disk by itself takes milliseconds. Whoever publishes a name for it has to `flush` first.
 */
export class FileChunkStore implements ChunkStore {
  readonly #root: string;
  readonly #temporary: string;
  readonly #buffer = new Uint8Array(READ_BUFFER);
  #staged = newBatch();
  #writing: { readonly batch: Batch; readonly done: Promise<void> } | undefined;
  /** Whether the last write failed, so that what it was to bring to the disk is still in memory. */
  #failing = false;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(root: string, temporary: string) {
    this.#root = root;
    this.#temporary = temporary;
  }

  /**
   * @param root is created where missing
   * @param options.exclusive nobody else writes there, so that all temporary files are left over; otherwise only those older than a day are
   * @throws StoreError `denied`, `quota`, `unavailable`
   */
  static async open(root: string, options: { exclusive?: boolean } = {}): Promise<FileChunkStore> {
    const temporary = join(root, "tmp");
    try {
      await mkdir(temporary, { recursive: true });
      await removeLeftOver(temporary, options.exclusive ? 0 : 24 * 60 * 60 * 1000);
    } catch (error) {
      throw writeError(error, `can't open the object store ${root}`);
    }
    return new FileChunkStore(root, temporary);
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
    // What is held in memory must not grow while the disk takes nothing.
    if (this.#failing) await this.#write();
    const there = await this.hasChunks(chunks.map(({ digest }) => digest));
    const blobThere = await inTurns(blobs, ({ digest }) => this.#has(objectPath("blobs", digest)));
    // What is staged after `close` has flushed would never be written.
    this.#checkOpen();
    chunks.forEach(({ digest, bytes }, i) => {
      if (bytes.length > MAX_CHUNK_SIZE) {
        throw new StoreError("invalid", `chunk ${formatDigest(digest)} is larger than ${MAX_CHUNK_SIZE} bytes`);
      }
      if (!there[i]) this.#stage("chunks", digest, compressZstd(bytes));
    });
    blobs.forEach((blob, i) => {
      if (!blobThere[i]) this.#stage("blobs", blob.digest, encodeBlobEntry(blob.digest, blob));
    });
    if (isFull(this.#staged)) {
      if (this.#writing) await this.#writing.done;
      // Not awaited, so that the next batch fills while this one is written. If it fails, the next `put` or `flush` tells.
      if (isFull(this.#staged)) this.#write().catch(() => {});
    } else if (!isEmpty(this.#staged)) {
      this.#idle ??= setTimeout(() => this.#write().catch(() => {}), IDLE).unref();
    }
  }

  /** Resolves when all that was put before survives a crash. @throws StoreError `quota`, `denied`, `unavailable` */
  async flush(): Promise<void> {
    // That one may have begun before all was put. If it fails, what it was to write is tried again with the rest.
    if (this.#writing) await this.#writing.done.catch(() => {});
    await this.#write();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.flush();
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError("closed", `the object store ${this.#root} was closed`);
  }

  #stage(kind: "chunks" | "blobs", digest: Digest, bytes: Uint8Array): void {
    const path = objectPath(kind, digest);
    if (this.#staged[kind].has(path)) return;
    this.#staged[kind].set(path, bytes);
    this.#staged.bytes += bytes.length;
  }

  async #write(): Promise<void> {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (this.#writing) return this.#writing.done;
    if (isEmpty(this.#staged)) return;
    const batch = this.#staged;
    this.#staged = newBatch();
    const done = writeFilesDurably(this.#root, this.#temporary, [newFiles(batch.chunks), newFiles(batch.blobs)]).then(
      () => {
        this.#writing = undefined;
        this.#failing = false;
      },
      (error) => {
        this.#writing = undefined;
        this.#failing = true;
        // Back, to be tried again: it was promised that it can be read.
        this.#staged = mergeBatches(batch, this.#staged);
        throw error;
      },
    );
    this.#writing = { batch, done };
    return done;
  }

  #inMemory(path: string): Uint8Array | undefined {
    for (const batch of [this.#staged, this.#writing?.batch]) {
      const bytes = batch?.chunks.get(path) ?? batch?.blobs.get(path);
      if (bytes) return bytes;
    }
    return undefined;
  }

  #has(path: string): boolean {
    if (this.#inMemory(path)) return true;
    try {
      return statSync(join(this.#root, path), { throwIfNoEntry: false })?.isFile() ?? false;
    } catch (error) {
      if (isMissing(error)) return false;
      throw fileError(error, `can't look for ${path} in ${this.#root}`);
    }
  }

  /** The bytes are the caller's until the next call. */
  #read(path: string, limit: number): Uint8Array | undefined {
    const bytes = this.#inMemory(path);
    if (bytes) return bytes;
    let file: number | undefined;
    try {
      file = openSync(join(this.#root, path), "r");
      // Most fit, and then nobody has to be asked for the size.
      const length = readSync(file, this.#buffer, 0, this.#buffer.length, 0);
      if (length < this.#buffer.length) return this.#buffer.subarray(0, length);
      const { size } = fstatSync(file);
      if (size > limit)
        throw new StoreError("corrupt", `${path} in ${this.#root} has ${size} bytes, more than the ${limit} allowed`);
      const whole = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const read = readSync(file, whole, at, size - at, at);
        if (read === 0) throw new StoreError("corrupt", `${path} in ${this.#root} was cut short while it was read`);
        at += read;
      }
      return whole;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fileError(error, `can't read ${path} in ${this.#root}`);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }
}

function newBatch(): Batch {
  return { chunks: new Map(), blobs: new Map(), bytes: 0 };
}

function isEmpty(batch: Batch): boolean {
  return batch.chunks.size === 0 && batch.blobs.size === 0;
}

function isFull(batch: Batch): boolean {
  return batch.bytes >= STAGED_BYTES || batch.chunks.size + batch.blobs.size >= STAGED_FILES;
}

function mergeBatches(a: Batch, b: Batch): Batch {
  return { chunks: new Map([...a.chunks, ...b.chunks]), blobs: new Map([...a.blobs, ...b.blobs]), bytes: a.bytes + b.bytes };
}

function newFiles(files: ReadonlyMap<string, Uint8Array>): NewFile[] {
  return Array.from(files, ([path, bytes]) => ({ path, bytes }));
}

function objectPath(kind: "chunks" | "blobs", digest: Digest): string {
  const hex = toHex(digest);
  return `${kind}/b3/${hex.slice(0, 4)}/${hex}`;
}

function isMissing(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

async function removeLeftOver(temporary: string, age: number): Promise<void> {
  const now = Date.now();
  for (const name of await readdir(temporary)) {
    const path = join(temporary, name);
    if (age === 0 || now - (await stat(path)).mtimeMs > age) await rm(path, { force: true });
  }
}
