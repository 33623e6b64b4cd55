import { StoreError } from "../error.ts";
import type { HashAlgorithm } from "../hash-algorithm.ts";
import { TaskPool } from "../task-pool.ts";
import { checkAttached } from "./attached.ts";
import { kernel } from "./blake3.ts";
import type { BlobCutter, HashEngine, HashStream, HashStreamOptions } from "./engine.ts";
import { DIGEST_SIZE } from "./kernel/sizes.ts";
import { CUTTER_BURDEN, type HashWorker, PoolMember, returnedBuffer, STREAM_BURDEN } from "./pool-member.ts";
import { PooledCutter } from "./pooled-cutter.ts";
import { PooledStream } from "./pooled-stream.ts";
import { RecycledBuffers } from "./recycled-buffers.ts";
import { type HashSubtree, SplitBlake3, SUBTREE_SIZE } from "./split-blake3.ts";

/** Longest blob in bytes that one worker hashes as a whole. Longer blobs are split. */
const SPLIT_LIMIT = 2 * SUBTREE_SIZE;
/**
 * Bytes of a batch. A smaller batch is not worth a message, and a larger one makes other jobs wait.
 */
const MIN_BATCH = 64 * 1024;
const MAX_BATCH = 1024 * 1024;
const MAX_BATCH_COUNT = 4096;

/**
 * Total size of blobs in bytes up to which they are hashed in the calling thread: a message to a
 * worker and back takes longer.
 */
const INLINE = 64 * 1024;
/**
 * The same limit for one or two workers. There are no more cores then, and usually a stream keeps
 * one of them busy, so a message and the copy for it only add work. A batch of small files in an
 * import has up to 2 MiB and one more file of 128 KiB.
 */
const INLINE_BESIDE_FEW = 2 * 1024 * 1024 + 128 * 1024;
const FEW = 2;

/** Bytes of idle buffers per worker. */
const RECYCLED = 4 * 1024 * 1024;

/**
 * A HashEngine that hashes in workers. It sends work in pieces of some 1 MiB to the worker that has
 * the least to do. BLAKE3 of long content and of many blobs can be split, so it keeps all workers
 * busy. A job has at most two pieces per worker in flight, so concurrent jobs take turns whatever
 * their size.
 */
export class HashPool implements HashEngine {
  #members: PoolMember[];
  #spawn: () => HashWorker;
  #buffers: RecycledBuffers;
  readonly #inline: number;
  #closed = false;

  /**
   * @param size number of workers
   * @param spawn starts a worker; called again to replace a worker that died
   * @param inline total size of blobs in bytes up to which `blake3Many` hashes in the calling
   *   thread
   */
  constructor(size: number, spawn: () => HashWorker, inline: number = size > FEW ? INLINE : INLINE_BESIDE_FEW) {
    this.#spawn = spawn;
    this.#inline = inline;
    this.#buffers = new RecycledBuffers(size * RECYCLED);
    this.#members = [];
    try {
      while (this.#members.length < size) this.#members.push(new PoolMember(spawn()));
    } catch (error) {
      // The caller gets no pool that it could close.
      this.close();
      throw error;
    }
  }

  async blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    blobs.forEach(checkAttached);
    const digests = new Array<Uint8Array>(blobs.length);
    const batches: { from: number; to: number; bytes: number }[] = [];
    const total = blobs.reduce((sum, { length }) => sum + length, 0);
    this.#checkOpen();
    if (total <= this.#inline) return kernel.blake3Many(blobs);
    const wanted = Math.min(Math.max(total / this.#members.length, MIN_BATCH), MAX_BATCH);
    for (const [i, { length }] of blobs.entries()) {
      const last = batches.at(-1);
      const isFull = !last || last.bytes + length > wanted || i - last.from >= MAX_BATCH_COUNT;
      if (isFull) batches.push({ from: i, to: i + 1, bytes: length });
      else {
        last.to++;
        last.bytes += length;
      }
    }
    const tasks = new TaskPool(this.#width);
    for (const { from, to, bytes } of batches) {
      if (bytes > SPLIT_LIMIT) {
        // Long blobs go one after another, because each keeps all workers busy.
        digests[from] = await this.#hashLong(blobs[from] as Uint8Array);
        continue;
      }
      await tasks.run(async () => {
        const found = await this.#hashBatch(blobs.slice(from, to), bytes);
        for (const [i, digest] of found.entries()) digests[from + i] = digest;
      });
    }
    await tasks.finish();
    return digests;
  }

  async stream(algorithm: HashAlgorithm, { size }: HashStreamOptions = {}): Promise<HashStream> {
    if (algorithm === "blake3") {
      this.#checkOpen();
      return new SplitBlake3(this.#hashSubtree, this.#buffers, this.#width);
    }
    const member = this.#least();
    const open = (stream: number): Promise<unknown> => member.call<"open">({ kind: "open", stream, algorithm, size });
    const { stream, opened } = member.startStream(STREAM_BURDEN, open);
    await opened;
    return new PooledStream(member, stream, this.#buffers);
  }

  async cutter(): Promise<BlobCutter> {
    const member = this.#least();
    const open = (stream: number): Promise<unknown> => member.call<"openCutter">({ kind: "openCutter", stream });
    const { stream, opened } = member.startStream(CUTTER_BURDEN, open);
    // An import opens a cutter for each large file. The cutters before it may have some megabytes
    // to do, so the caller doesn't wait for the worker.
    return new PooledCutter(member, stream, opened);
  }

  close(): void {
    this.#closed = true;
    for (const member of this.#members) member.close();
  }

  /**
   * Maximum number of pieces of one job in flight. With two per worker, the next piece waits in the
   * worker when it finishes one.
   */
  get #width(): number {
    return 2 * this.#members.length;
  }

  async #hashLong(blob: Uint8Array): Promise<Uint8Array> {
    const hash = new SplitBlake3(this.#hashSubtree, this.#buffers, this.#width);
    await hash.update(blob);
    return hash.digest();
  }

  async #hashBatch(blobs: readonly Uint8Array[], size: number): Promise<Uint8Array[]> {
    const buffer = this.#buffers.take(size);
    const bytes = new Uint8Array(buffer);
    let offset = 0;
    for (const run of runsOf(blobs)) {
      bytes.set(run, offset);
      offset += run.length;
    }
    const lengths = Uint32Array.from(blobs, ({ length }) => length);
    const reply = await this.#least().call<"many">({ kind: "many", buffer, lengths }, [buffer], size);
    this.#buffers.give(reply.buffer);
    return blobs.map((_, i) => reply.result.subarray(DIGEST_SIZE * i, DIGEST_SIZE * (i + 1)));
  }

  readonly #hashSubtree: HashSubtree = async (buffer, length, chunk, root) => {
    const reply = await this.#least().call<"subtree">({ kind: "subtree", buffer, length, chunk, root }, [buffer], length);
    return { value: reply.result, buffer: returnedBuffer(reply) };
  };

  #least(): PoolMember {
    this.#checkOpen();
    for (const [i, member] of this.#members.entries()) {
      if (member.lost) this.#members[i] = new PoolMember(this.#spawn());
    }
    return this.#members.reduce((least, member) => (member.burden < least.burden ? member : least));
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError("closed", "the hash workers are closed");
  }
}

/** Joins blobs that lie next to each other in one buffer, so that fewer copies are needed. */
function* runsOf(blobs: readonly Uint8Array[]): Generator<Uint8Array> {
  let first: Uint8Array | undefined;
  let length = 0;
  for (const blob of blobs) {
    if (first && blob.buffer === first.buffer && blob.byteOffset === first.byteOffset + length) {
      length += blob.length;
      continue;
    }
    if (first) yield new Uint8Array(first.buffer, first.byteOffset, length);
    first = blob;
    length = blob.length;
  }
  if (first) yield new Uint8Array(first.buffer, first.byteOffset, length);
}
