import { EMPTY_BYTES, equalBytes } from "../bytes.ts";
import { type BlobService, SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { type Digest, digestKey, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import { onAbort } from "../on-abort.ts";
import { iterate } from "../stream.ts";
import { TaskPool } from "../task-pool.ts";
import { openReusingChunks, type PartlyPresentBlob } from "./reused-chunks.ts";

/** Limits of a batch. The small blobs of a batch are looked up, read and written together. */
const BATCH_COUNT = 256;
const BATCH_BYTES = 2 * 1024 * 1024;

/** Batches and large blobs in flight at a time. */
const CONCURRENCY = 4;

/** Digests remembered so that a blob is not looked up twice. */
const MAX_SEEN = 256 * 1024;

export interface BlobCopierOptions {
  signal?: AbortSignal | undefined;
  /**
   * Called with the number of bytes that are newly known to be at the target, whether copied or
   * found there.
   */
  onBytes?: ((bytes: number) => void) | undefined;
  /** Keys of blobs that are known to be at the target. The copier adds the blobs that it copies. */
  seen?: Set<string> | undefined;
  /**
   * Whether to read chunks of a large blob at the target if the target has them. Use it if the
   * target is near and the source is far, as in a pull.
   */
  reuseChunks?: boolean | undefined;
}

/**
 * Copies the blobs that are missing at the target from one service to another, in batches. Memory:
 * some 8 MiB at most. The owner must call `finish` or `abort`.
 */
export class BlobCopier {
  readonly #from: BlobService;
  readonly #to: BlobService;
  readonly #onBytes: (bytes: number) => void;
  readonly #seen: Set<string>;
  readonly #reuseChunks: boolean;
  readonly #pool = new TaskPool(CONCURRENCY);
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #unlink: () => void;
  #batch: FileNode[] = [];
  #batchBytes = 0;
  /** Blobs that were missing and were copied, and the bytes of them that came from the source. */
  blobs = 0;
  bytes = 0;

  constructor(from: BlobService, to: BlobService, options: BlobCopierOptions = {}) {
    this.#from = from;
    this.#to = to;
    this.#onBytes = options.onBytes ?? (() => {});
    this.#seen = options.seen ?? new Set();
    this.#reuseChunks = options.reuseChunks ?? false;
    this.#outer = options.signal;
    this.#unlink = onAbort(this.#outer, () => this.#controller.abort(this.#outer?.reason));
  }

  /**
   * Accepts the blob of `file`, and resolves when the copier is ready for the next one. Rejects if
   * a blob that was added earlier failed.
   */
  async add(file: FileNode): Promise<void> {
    this.#controller.signal.throwIfAborted();
    const key = digestKey(file.digest);
    if (!this.#seen.has(key) && equalBytes(file.digest, EMPTY_DIGEST)) {
      this.#seen.add(key);
      // Every store reports the empty blob as present, but stock snix can read it only after a put.
      await this.#pool.run(async () => void (await this.#to.putMany([EMPTY_BYTES], { signal: this.#controller.signal })));
    }
    if (this.#seen.has(key)) {
      this.#onBytes(Number(file.size));
      return;
    }
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(key);
    if (file.size > SMALL_BLOB_LIMIT) {
      await this.#pool.run(() => this.#copyLarge(file));
      return;
    }
    this.#batch.push(file);
    this.#batchBytes += Number(file.size);
    if (this.#batch.length >= BATCH_COUNT || this.#batchBytes >= BATCH_BYTES) await this.#flush();
  }

  /**
   * Resolves when all blobs are at the target.
   *
   * @throws StoreError `not-found` if the source lacks a blob; `corrupt` if a blob has another
   *   length than its node states
   */
  async finish(): Promise<void> {
    try {
      if (this.#batch.length > 0) await this.#flush();
      await this.#pool.finish();
    } catch (error) {
      await this.abort(error);
      this.#outer?.throwIfAborted();
      throw error;
    }
    this.#unlink();
  }

  /** Aborts all copies in flight, and resolves when they have ended. */
  async abort(reason: unknown): Promise<void> {
    this.#unlink();
    this.#controller.abort(reason);
    await this.#pool.finish().catch(() => {});
  }

  #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    return this.#pool.run(() => this.#copySmall(batch));
  }

  async #copySmall(batch: readonly FileNode[]): Promise<void> {
    const { signal } = this.#controller;
    const stats = await this.#to.stat(digestsOf(batch), { signal });
    const missing = batch.filter((file, i) => {
      if (stats[i]) this.#onBytes(Number(file.size));
      return !stats[i];
    });
    if (missing.length === 0) return;
    const expected = digestsOf(missing);
    // The target calculates the digests anyway, to name the blobs, and compares them.
    const contents = (await this.#from.readMany(expected, { unverified: true, signal })).map((content, i) => {
      const file = missing[i] as FileNode;
      if (!content) throw missingBlob(file);
      checkLength(file, content.length);
      return content;
    });
    const digests = await this.#to.putMany(contents, { expected, signal });
    for (const [i, file] of missing.entries()) {
      checkDigest(file, digests[i]);
      this.#count(file);
      this.#onBytes(Number(file.size));
    }
  }

  async #copyLarge(file: FileNode): Promise<void> {
    const { signal } = this.#controller;
    const [stat] = await this.#to.stat([file.digest], { signal });
    if (stat) {
      this.#onBytes(Number(file.size));
      return;
    }
    const blob = await this.#openLarge(file, signal);
    if (!blob) throw missingBlob(file);
    const writer = await this.#to.create({ expected: file.digest, signal });
    try {
      let length = 0;
      for await (const piece of blob.content) {
        length += piece.length;
        if (length > file.size) checkLength(file, length);
        await writer.write(piece);
        this.#onBytes(piece.length);
      }
      checkLength(file, length);
      checkDigest(file, (await writer.close()).digest);
    } catch (error) {
      await writer.abort(error).catch(() => {});
      throw error;
    }
    this.#count(file, blob.reused());
  }

  async #openLarge(file: FileNode, signal: AbortSignal): Promise<PartlyPresentBlob | undefined> {
    if (this.#reuseChunks) return openReusingChunks(this.#from, this.#to, file, signal);
    const stream = await this.#from.open(file.digest, { unverified: true, signal });
    return stream && { content: iterate(stream, signal), reused: () => 0 };
  }

  #count(file: FileNode, reused = 0): void {
    this.blobs++;
    this.bytes += Number(file.size) - reused;
  }
}

function digestsOf(files: readonly FileNode[]): Digest[] {
  return files.map(({ digest }) => digest);
}

function missingBlob({ digest }: FileNode): StoreError {
  return new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the source store`);
}

function checkLength({ digest, size }: FileNode, length: number): void {
  if (BigInt(length) === size) return;
  const amount = BigInt(length) > size ? `more than ${size}` : `${length}`;
  throw new StoreError("corrupt", `blob ${formatDigest(digest)} has ${amount} bytes, but its node states ${size}`);
}

function checkDigest({ digest }: FileNode, actual: Digest | undefined): void {
  if (actual && equalBytes(actual, digest)) return;
  throw new StoreError(
    "corrupt",
    `the target stored blob ${formatDigest(digest)} under ${actual ? formatDigest(actual) : "no digest"}`,
  );
}
