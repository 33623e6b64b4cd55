import { TaskPool } from "../task-pool.ts";
import { checkAttached, checkGiven } from "./attached.ts";
import type { HashStream } from "./engine.ts";
import { CHUNK_SIZE } from "./kernel/sizes.ts";
import type { RecycledBuffers } from "./recycled-buffers.ts";
import { SubtreeJoiner } from "./subtree-joiner.ts";

/**
 * Bytes of a subtree: large enough that a message costs little in comparison, small enough that
 * other jobs get their turn.
 */
export const SUBTREE_SIZE: number = 1024 * 1024;

/**
 * Hashes the first `length` bytes of `buffer` in any worker. The buffer is transferred and comes
 * back. The value is a chaining value, or the digest if `root` is true.
 *
 * `chunk` is the index of the first BLAKE3 chunk.
 */
export type HashSubtree = (
  buffer: ArrayBuffer,
  length: number,
  chunk: number,
  root: boolean,
) => Promise<{ value: Uint8Array; buffer: ArrayBuffer }>;

/**
 * BLAKE3 over bytes that come in pieces, split by subtree. Each worker sees only its own subtrees.
 */
export class SplitBlake3 implements HashStream {
  #hash: HashSubtree;
  #buffers: RecycledBuffers;
  #tasks: TaskPool;
  /** The current subtree. It is not complete, or it may be the only subtree. */
  #buffer: ArrayBuffer | undefined;
  #length = 0;
  #count = 0;
  #joiner = new SubtreeJoiner();
  /** Resolves when all subtrees sent so far are joined. */
  #joined: Promise<void> = Promise.resolve();
  /** Resolves when all earlier calls have placed their bytes. */
  #turn: Promise<void> = Promise.resolve();

  /** @param width maximum number of subtrees in flight */
  constructor(hash: HashSubtree, buffers: RecycledBuffers, width: number) {
    this.#hash = hash;
    this.#buffers = buffers;
    this.#tasks = new TaskPool(width);
  }

  update(bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      checkAttached(bytes);
      await this.#copy(bytes);
    });
  }

  async give(buffer: ArrayBuffer, length: number): Promise<ArrayBuffer> {
    const { back } = await this.#inTurn(async () => {
      checkGiven(buffer, length);
      if (this.#length === SUBTREE_SIZE && length > 0) await this.#sendOwn();
      // The first subtree is copied, because it may be the only one. Partial subtrees are copied
      // too.
      if (this.#count > 0 && this.#length === 0 && length === SUBTREE_SIZE) return this.#send(buffer, length);
      await this.#copy(new Uint8Array(buffer, 0, length));
      return { back: buffer };
    });
    return back;
  }

  async digest(): Promise<Uint8Array> {
    await this.#turn;
    if (this.#count === 0) {
      const own = this.#reserve(0);
      this.#buffer = undefined;
      const { value, buffer } = await this.#hash(own, this.#length, 0, true);
      this.#buffers.give(buffer);
      return value;
    }
    if (this.#length > 0) await this.#sendOwn();
    await this.#tasks.finish();
    await this.#joined;
    return this.#joiner.digest();
  }

  abort(): void {
    if (this.#buffer) this.#buffers.give(this.#buffer);
    this.#buffer = undefined;
  }

  /** Runs `work` when all earlier calls have placed their bytes. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    let done = (): void => {};
    this.#turn = new Promise((resolve) => {
      done = resolve;
    });
    try {
      await before;
      return await work();
    } finally {
      done();
    }
  }

  async #copy(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#length === SUBTREE_SIZE) await this.#sendOwn();
      const taken = Math.min(bytes.length - at, SUBTREE_SIZE - this.#length);
      new Uint8Array(this.#reserve(taken)).set(bytes.subarray(at, at + taken), this.#length);
      this.#length += taken;
      at += taken;
    }
  }

  /**
   * Returns the buffer, with room for `more` bytes. It grows step by step, because most content is
   * shorter than a subtree.
   */
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

  async #sendOwn(): Promise<void> {
    const buffer = this.#reserve(0);
    const length = this.#length;
    this.#buffer = undefined;
    this.#length = 0;
    const { back } = await this.#send(buffer, length);
    back.then((buffer) => this.#buffers.give(buffer)).catch(() => {});
  }

  /** Sends a subtree. Resolves when the subtree is in flight. `back` resolves with the buffer. */
  async #send(buffer: ArrayBuffer, length: number): Promise<{ back: Promise<ArrayBuffer> }> {
    const chunk = (this.#count * SUBTREE_SIZE) / CHUNK_SIZE;
    this.#count++;
    let back = Promise.resolve(buffer);
    await this.#tasks.run(async () => {
      const hashed = this.#hash(buffer, length, chunk, false);
      back = hashed.then(({ buffer }) => buffer);
      this.#joined = Promise.all([hashed, this.#joined]).then(([{ value }]) => this.#joiner.push(value));
      // `digest` waits for this promise and reports its error.
      this.#joined.catch(() => {});
      await hashed;
    });
    // `give` hands this promise to its caller, which may ignore it.
    back.catch(() => {});
    return { back };
  }
}
