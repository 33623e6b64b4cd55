import { checkAttached, checkGiven } from "./attached.ts";
import type { HashStream } from "./engine.ts";
import { type PoolMember, returnedBuffer } from "./pool-member.ts";
import { MIN_BUFFER, type RecycledBuffers } from "./recycled-buffers.ts";

/**
 * Maximum size in bytes of a stream's buffers, full or not, in flight to its worker before `update`
 * waits.
 */
const WINDOW = 4 * 1024 * 1024;

/**
 * A hash stream that one worker computes, for hashes that can't be split. Short pieces are
 * gathered, because each message costs a buffer and a turn.
 */
export class PooledStream implements HashStream {
  #member: PoolMember;
  #stream: number;
  #buffers: RecycledBuffers;
  #gathered: { buffer: ArrayBuffer; length: number } | undefined;
  /** Messages in flight, in the order in which they were sent. */
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
    // A recycled buffer may be much longer than the minimum, so don't wait until it is full.
    if (this.#gathered.length >= MIN_BUFFER) this.#sendGathered();
    // The bytes are copied, so the caller may go on until the window is full. `digest` reports a
    // failure at the latest.
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
    // The worker does not notice a missing piece, so its digest would be wrong.
    if (this.#failure) throw this.#failure.error;
    return (await digest).result;
  }

  abort(): void {
    this.#member.endStream(this.#stream);
    this.#buffers.give(this.#gathered?.buffer);
    this.#gathered = undefined;
    this.#member.call<"abort">({ kind: "abort", stream: this.#stream }).catch(() => {});
  }

  /** Sends the gathered bytes. */
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
