import { checkAttached, checkGiven } from "./attached.ts";
import type { HashStream } from "./engine.ts";
import { type PoolMember, returnedBuffer } from "./pool-member.ts";
import { MIN_BUFFER, type RecycledBuffers } from "./recycled-buffers.ts";

/** Bytes of a stream's buffers, full or not, that may be on their way to its worker before `update` holds back. */
const WINDOW = 4 * 1024 * 1024;

/**
 * A stream whose hash is taken by one worker, since it can't be split. Short pieces are gathered, because each message takes a buffer
 * and a turn of its own.
 */
export class PooledStream implements HashStream {
  #member: PoolMember;
  #stream: number;
  #buffers: RecycledBuffers;
  #gathered: { buffer: ArrayBuffer; length: number } | undefined;
  /** In the order in which they were sent, for as long as they are on their way. */
  #sent = new Set<Promise<unknown>>();
  #window = 0;
  #failure: { error: unknown } | undefined;

  constructor(member: PoolMember, stream: number, buffers: RecycledBuffers) {
    this.#member = member;
    this.#stream = stream;
    this.#buffers = buffers;
  }

  async update(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    checkAttached(bytes);
    const { length } = bytes;
    if (this.#gathered && this.#gathered.length + length > this.#gathered.buffer.byteLength) this.#sendGathered();
    this.#gathered ??= { buffer: this.#buffers.take(length), length: 0 };
    new Uint8Array(this.#gathered.buffer).set(bytes, this.#gathered.length);
    this.#gathered.length += length;
    // The buffer may be a long one that was used before.
    if (this.#gathered.length >= MIN_BUFFER) this.#sendGathered();
    // The copy is made, so the caller goes on until the window is full. A failure shows at the latest in `digest`.
    while (this.#window > WINDOW) await this.#sent.values().next().value;
  }

  async give(buffer: ArrayBuffer, length: number): Promise<ArrayBuffer> {
    if (this.#failure) throw this.#failure.error;
    checkGiven(buffer, length);
    this.#sendGathered();
    return this.#send(buffer, length);
  }

  async digest(): Promise<Uint8Array> {
    this.#member.endStream(this.#stream);
    this.#sendGathered();
    const digest = this.#member.call<"digest">({ kind: "digest", stream: this.#stream });
    await Promise.all([...this.#sent, digest]);
    // A digest that lacks a piece is as good as any other to the worker.
    if (this.#failure) throw this.#failure.error;
    return (await digest).result;
  }

  abort(): void {
    this.#member.endStream(this.#stream);
    this.#buffers.give(this.#gathered?.buffer);
    this.#gathered = undefined;
    this.#member.call<"abort">({ kind: "abort", stream: this.#stream }).catch(() => {});
  }

  /** Sends what was gathered. */
  #sendGathered(): void {
    if (!this.#gathered) return;
    const { buffer, length } = this.#gathered;
    this.#gathered = undefined;
    const { byteLength } = buffer;
    this.#window += byteLength;
    const sent = this.#send(buffer, length)
      .then((buffer) => this.#buffers.give(buffer))
      .finally(() => {
        this.#window -= byteLength;
        this.#sent.delete(sent);
      });
    sent.catch(() => {});
    this.#sent.add(sent);
  }

  async #send(buffer: ArrayBuffer, length: number): Promise<ArrayBuffer> {
    try {
      const request = { kind: "update", stream: this.#stream, buffer, length } as const;
      return returnedBuffer(await this.#member.call<"update">(request, [buffer], length));
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }
}
