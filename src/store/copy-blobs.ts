import { EMPTY_BYTES, equalBytes } from "../bytes.ts";
import { type BlobService, SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { type Digest, digestKey, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import { onAbort } from "../on-abort.ts";
import { iterate } from "../stream.ts";
import { TaskPool } from "../task-pool.ts";
import { openReusingChunks, type PartlyPresentBlob } from "./reused-chunks.ts";

/** Small blobs are asked for, read and written together, up to so many of them and so many bytes. */
const BATCH_COUNT = 256;
const BATCH_BYTES = 2 * 1024 * 1024;

/** Batches and large blobs that are on their way at a time. */
const CONCURRENCY = 4;

/** Digests that are remembered so as not to ask for them again. */
const MAX_SEEN = 256 * 1024;

export interface BlobCopierOptions {
  signal?: AbortSignal | undefined;
  /** Is told how many bytes more are at the target now, whether they were copied or found there. */
  onBytes?: ((bytes: number) => void) | undefined;
  /** Blobs that are known to be at the target; what is copied is added. */
  seen?: Set<string> | undefined;
  /**
   * Whether chunks of a large blob that the target has are read there: right where the target is near and the source is far, as in a
   * pull.
   */
  reuseChunks?: boolean | undefined;
}

/**
 * Copies blobs from one service to another, those that are missing there, in batches. Holds at most some 8 MiB. To be ended by
 * `finish` or `abort`.
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
  /** What was missing and was copied: bytes as they came from the source. */
  blobs = 0;
  bytes = 0;

  constructor(from: BlobService, to: BlobService, options: BlobCopierOptions = {}) {
    this.#from = from;
    this.#to = to;
    this.#onBytes = options.onBytes ?? (() => {});
    this.#seen = options.seen ?? new Set();
    this.#reuseChunks = options.reuseChunks ?? false;
    this.#outer = options.signal;
    const stop = (): void => this.#controller.abort(this.#outer?.reason);
    if (this.#outer?.aborted) stop();
    this.#unlink = onAbort(this.#outer, stop);
  }

  /** Takes the blob of `file`, and resolves when the next is wanted. Rejects if a blob that was taken earlier failed. */
  async add(file: FileNode): Promise<void> {
    this.#controller.signal.throwIfAborted();
    const key = digestKey(file.digest);
    if (!this.#seen.has(key) && equalBytes(file.digest, EMPTY_DIGEST)) {
      this.#seen.add(key);
      // It counts as there everywhere, but stock snix has it only once it was put.
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
   * @throws StoreError `not-found` if the source hasn't one, `corrupt` if one has another length than its node says
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

  /** Ends what is on its way, and resolves when it is over. */
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
    const contents = (await this.#from.readMany(digestsOf(missing), { signal })).map((content, i) => {
      const file = missing[i] as FileNode;
      if (!content) throw missingBlob(file);
      checkLength(file, content.length);
      return content;
    });
    const digests = await this.#to.putMany(contents, { signal });
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
    const writer = await this.#to.create({ signal });
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
    const stream = await this.#from.open(file.digest, { signal });
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
  return new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the store that it is copied from`);
}

function checkLength({ digest, size }: FileNode, length: number): void {
  if (BigInt(length) === size) return;
  const amount = BigInt(length) > size ? `more than ${size}` : `${length}`;
  throw new StoreError("corrupt", `blob ${formatDigest(digest)} has ${amount} bytes; its node says ${size}`);
}

function checkDigest({ digest }: FileNode, actual: Digest | undefined): void {
  if (actual && equalBytes(actual, digest)) return;
  throw new StoreError("corrupt", `blob ${formatDigest(digest)} arrived as ${actual ? formatDigest(actual) : "nothing"}`);
}
