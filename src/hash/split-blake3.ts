import { TaskPool } from "../task-pool.ts";
import { checkAttached } from "./attached.ts";
import type { HashStream } from "./engine.ts";
import { CHUNK_SIZE } from "./kernel/kernel.ts";
import type { RecycledBuffers } from "./recycled-buffers.ts";
import { SubtreeJoiner } from "./subtree-joiner.ts";

/** Bytes of a subtree: large enough that a message costs little beside it, small enough that other jobs get their turn. */
export const SUBTREE_SIZE: number = 1024 * 1024;

/** Hashes the first `length` bytes of `buffer`, which is moved away, in whatever worker: a chaining value, or if it is the `root` a digest. */
export type HashSubtree = (buffer: ArrayBuffer, length: number, chunk: number, root: boolean) => Promise<Uint8Array>;

/** BLAKE3 over bytes that come in pieces, split by subtree: no worker has to see more than its part. */
export class SplitBlake3 implements HashStream {
  #hash: HashSubtree;
  #buffers: RecycledBuffers;
  #tasks: TaskPool;
  /** The subtree that is not known to be complete, or not to be the only one. */
  #buffer: ArrayBuffer | undefined;
  #length = 0;
  #count = 0;
  #joiner = new SubtreeJoiner();
  /** Those before have been joined. */
  #joined: Promise<void> = Promise.resolve();

  /** @param width subtrees that are on their way at a time */
  constructor(hash: HashSubtree, buffers: RecycledBuffers, width: number) {
    this.#hash = hash;
    this.#buffers = buffers;
    this.#tasks = new TaskPool(width);
  }

  async update(bytes: Uint8Array): Promise<void> {
    checkAttached(bytes);
    for (let at = 0; at < bytes.length; ) {
      if (this.#length === SUBTREE_SIZE) await this.#send();
      const taken = Math.min(bytes.length - at, SUBTREE_SIZE - this.#length);
      new Uint8Array(this.#reserve(taken)).set(bytes.subarray(at, at + taken), this.#length);
      this.#length += taken;
      at += taken;
    }
  }

  async digest(): Promise<Uint8Array> {
    if (this.#count === 0) {
      const buffer = this.#reserve(0);
      this.#buffer = undefined;
      return this.#hash(buffer, this.#length, 0, true);
    }
    await this.#send();
    await this.#tasks.finish();
    await this.#joined;
    return this.#joiner.digest();
  }

  abort(): void {
    if (this.#buffer) this.#buffers.give(this.#buffer);
    this.#buffer = undefined;
  }

  /** The buffer, with room for `more` bytes: most content is shorter than a subtree. */
  #reserve(more: number): ArrayBuffer {
    const size = this.#length + more;
    const buffer = this.#buffer;
    if (buffer && buffer.byteLength >= size) return buffer;
    const grown = this.#buffers.take(this.#count > 0 ? SUBTREE_SIZE : size);
    if (buffer) {
      new Uint8Array(grown).set(new Uint8Array(buffer, 0, this.#length));
      this.#buffers.give(buffer);
    }
    this.#buffer = grown;
    return grown;
  }

  async #send(): Promise<void> {
    const buffer = this.#reserve(0);
    const length = this.#length;
    const chunk = (this.#count * SUBTREE_SIZE) / CHUNK_SIZE;
    this.#buffer = undefined;
    this.#length = 0;
    this.#count++;
    await this.#tasks.run(async () => {
      const before = this.#joined;
      const value = this.#hash(buffer, length, chunk, false);
      this.#joined = Promise.all([value, before]).then(([value]) => this.#joiner.push(value));
      await this.#joined;
    });
  }
}
