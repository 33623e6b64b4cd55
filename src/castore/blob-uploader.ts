import { MIN_CHUNK_SIZE } from "../hash/kernel/sizes.ts";
import { TaskPool } from "../task-pool.ts";
import type { BlobService, BlobWriter } from "./blob-service.ts";
import type { Digest } from "./digest.ts";

/** Content on its way into a BlobService. */
export interface PendingBlob {
  /** Length of the content in bytes. */
  readonly size: number;
  /**
   * Digest of the content. Set once the uploader has stored the content, at the latest after
   * `flush`.
   */
  readonly digest: Digest | undefined;
}

/** Maximum number of batches and long files being stored while the uploader accepts more. */
const BEHIND = 3;
/**
 * Size limit in bytes of files that are gathered into batches. A file of this size or less is one
 * chunk, whatever its content.
 */
const GATHER_LIMIT = MIN_CHUNK_SIZE;
const BATCH_BYTES = 2 * 1024 * 1024;
const BATCH_COUNT = 1024;
/**
 * Size of a full batch's buffer in bytes. The last file of a batch begins before the batch has
 * `BATCH_BYTES`.
 */
const SLAB = BATCH_BYTES + GATHER_LIMIT;
/** Size of the first buffer in bytes. It is enough for most uploads if each upload is one NAR. */
const FIRST_SLAB = 4096;

/** A queued step: bytes of the current file, or its end. */
type Step = Uint8Array | MutablePendingBlob;
type MutablePendingBlob = { -readonly [K in keyof PendingBlob]: PendingBlob[K] };

/**
 * Accepts the contents of files one after another, from a source that pushes (a NAR or tar parser).
 * It gathers small files into batches and streams large files into a writer. `begin`, `write` and
 * `end` never wait: they gather, or queue the steps that have to wait. `drain` does the waiting, so
 * a source calls it between its own reads.
 */
export class BlobUploader {
  #blobs: BlobService;
  #signal: AbortSignal | undefined;
  /**
   * Steps that wait for `drain`: the first step that can't be handled at once, and all steps after
   * it.
   */
  #steps: Step[] = [];
  #size = 0;

  /**
   * The small files of the current batch, one after another. The current file follows them as long
   * as it is short; a long file goes to `#writer`.
   */
  #gather: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_SLAB);
  /** Offset in `#gather` at which the current file begins, and number of its bytes there. */
  #start = 0;
  #gathered = 0;
  #free: Uint8Array<ArrayBuffer>[] = [];
  #writer: BlobWriter | undefined;

  #batch: { blob: MutablePendingBlob; bytes: Uint8Array }[] = [];
  #batchSize = 0;

  /** Batches and long files that are being stored. */
  readonly #behind = new TaskPool(BEHIND);

  constructor(blobs: BlobService, options: { signal?: AbortSignal | undefined } = {}) {
    this.#blobs = blobs;
    this.#signal = options.signal;
  }

  /** Begins the next file. */
  begin(): void {
    this.#size = 0;
  }

  /** Appends to the current file. `bytes` must not change until `drain` resolves. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#size += bytes.length;
    if (this.#steps.length === 0 && this.#canGather(bytes.length)) this.#add(bytes);
    else this.#steps.push(bytes);
  }

  end(): PendingBlob {
    const blob: MutablePendingBlob = { size: this.#size, digest: undefined };
    if (this.#steps.length === 0 && this.#canGather(0)) this.#addToBatch(blob);
    else this.#steps.push(blob);
    return blob;
  }

  /** Resolves when everything written so far is accepted, and the uploader is ready for more. */
  async drain(): Promise<void> {
    if (this.#isFull()) await this.#writeBatch();
    for (const step of this.#steps) {
      const taken = step instanceof Uint8Array ? this.#take(step) : this.#end(step);
      if (taken) await taken;
      if (this.#isFull()) await this.#writeBatch();
    }
    this.#steps = [];
  }

  /** Stores everything. Resolves when every file that was ended has its digest. */
  async flush(): Promise<void> {
    await this.drain();
    await this.#writeBatch();
    await this.#behind.finish();
  }

  /** Discards everything that was not flushed. */
  async abort(reason: unknown): Promise<void> {
    this.#steps = [];
    this.#gathered = 0;
    this.#batch = [];
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.abort(reason);
    await this.#behind.finish();
  }

  #isFull(): boolean {
    return this.#batchSize >= BATCH_BYTES || this.#batch.length >= BATCH_COUNT;
  }

  /**
   * Whether `length` more bytes of the current file, or its end, can be handled without waiting.
   */
  #canGather(length: number): boolean {
    return !this.#writer && this.#gathered + length <= GATHER_LIMIT && !this.#isFull();
  }

  #take(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#writer) return this.#writer.write(bytes);
    if (this.#gathered + bytes.length > GATHER_LIMIT) return this.#startWriter(bytes);
    this.#add(bytes);
    return undefined;
  }

  #add(bytes: Uint8Array): void {
    const length = this.#gathered + bytes.length;
    const end = this.#start + length;
    if (end > this.#gather.length) {
      const grown = new Uint8Array(Math.min(2 ** Math.ceil(Math.log2(end)), SLAB));
      grown.set(this.#gather.subarray(this.#start, this.#start + this.#gathered), this.#start);
      // The files already in the batch are views of the old buffer, which they keep.
      this.#gather = grown;
    }
    this.#gather.set(bytes, this.#start + this.#gathered);
    this.#gathered = length;
  }

  async #startWriter(bytes: Uint8Array): Promise<void> {
    this.#writer = await this.#blobs.create({ signal: this.#signal });
    if (this.#gathered > 0) await this.#writer.write(this.#gather.subarray(this.#start, this.#start + this.#gathered));
    this.#gathered = 0;
    await this.#writer.write(bytes);
  }

  #end(blob: MutablePendingBlob): Promise<void> | undefined {
    if (this.#writer) return this.#closeWriter(this.#writer, blob);
    this.#addToBatch(blob);
    return undefined;
  }

  #addToBatch(blob: MutablePendingBlob): void {
    this.#batch.push({ blob, bytes: this.#gather.subarray(this.#start, this.#start + this.#gathered) });
    this.#batchSize += this.#gathered;
    this.#start += this.#gathered;
    this.#gathered = 0;
  }

  async #closeWriter(writer: BlobWriter, blob: MutablePendingBlob): Promise<void> {
    await this.#behind.run(async () => {
      // Clear the writer only here: if an earlier batch failed, this function never runs, and
      // `abort` still has the writer.
      this.#writer = undefined;
      const { digest } = await writer.close();
      blob.digest = digest;
    });
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchSize = 0;
    if (batch.length === 0) return;
    const gather = this.#gather;
    this.#gather = this.#free.pop() ?? new Uint8Array(Math.max(this.#gathered, FIRST_SLAB));
    // The bytes of an unfinished file move to the new buffer.
    this.#gather.set(gather.subarray(this.#start, this.#start + this.#gathered));
    this.#start = 0;
    await this.#behind.run(async () => {
      const digests = await this.#blobs.putMany(
        batch.map(({ bytes }) => bytes),
        { signal: this.#signal },
      );
      for (const [i, { blob }] of batch.entries()) blob.digest = digests[i];
      if (gather.length === SLAB) this.#free.push(gather);
    });
  }
}
