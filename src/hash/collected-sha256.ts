import type { LocalHashStream } from "./hash-stream.ts";

type Subtle = typeof globalThis.crypto.subtle;

/**
 * Maximum content length in bytes that is collected and hashed at once. The platform's hash is at
 * least twice as fast as WebAssembly, but does not accept pieces.
 */
export const COLLECT_LIMIT: number = 64 * 1024 * 1024;

/**
 * Bytes that a stream collects in its own buffer before it takes the large buffer of this thread.
 */
const SMALL = 256 * 1024;

/**
 * The large buffer for collecting. There is one per thread because it is large. It is reused
 * because fresh memory costs as much as the hash. While unused it is held weakly, so an idle page
 * frees it.
 */
let kept: WeakRef<Uint8Array<ArrayBuffer>> | undefined;
let taken = false;

function takeBuffer(): Uint8Array<ArrayBuffer> | undefined {
  if (taken) return undefined;
  try {
    const buffer = kept?.deref() ?? new Uint8Array(COLLECT_LIMIT);
    taken = true;
    return buffer;
  } catch {
    // Out of memory: the content is streamed instead.
    return undefined;
  }
}

function giveBack(buffer: Uint8Array<ArrayBuffer>): void {
  taken = false;
  kept = new WeakRef(buffer);
}

/**
 * SHA-256 by the platform for content that fits into the buffer. `stream` hashes longer content,
 * and content that comes while another stream of this thread has the buffer.
 */
export class CollectedSha256 implements LocalHashStream {
  readonly #subtle: Subtle;
  readonly #stream: LocalHashStream;
  #small: Uint8Array<ArrayBuffer> | undefined = new Uint8Array(4096);
  #large: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;
  #ended = false;

  constructor(subtle: Subtle, stream: LocalHashStream) {
    this.#subtle = subtle;
    this.#stream = stream;
  }

  update(bytes: Uint8Array): void {
    if (this.#ended) throw new TypeError("this hash stream has ended");
    const buffer = this.#room(this.#length + bytes.length);
    if (buffer) {
      buffer.set(bytes, this.#length);
      this.#length += bytes.length;
    } else {
      this.#stream.update(bytes);
    }
  }

  async digest(): Promise<Uint8Array> {
    if (this.#ended) throw new TypeError("this hash stream has ended");
    this.#ended = true;
    const buffer = this.#large ?? this.#small;
    if (!buffer) return this.#stream.digest();
    this.#stream.abort();
    try {
      return new Uint8Array(await this.#subtle.digest("SHA-256", buffer.subarray(0, this.#length)));
    } finally {
      this.#release();
    }
  }

  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.abort();
    this.#release();
  }

  /**
   * Returns a buffer with room for `length` bytes that begins with the collected ones; `undefined`
   * if the content has to be streamed from now on.
   */
  #room(length: number): Uint8Array<ArrayBuffer> | undefined {
    const buffer = this.#large ?? this.#small;
    if (!buffer || length <= buffer.length) return buffer;
    const collected = buffer.subarray(0, this.#length);
    if (length <= SMALL) {
      this.#small = new Uint8Array(2 ** Math.ceil(Math.log2(length)));
      this.#small.set(collected);
      return this.#small;
    }
    const large = length <= COLLECT_LIMIT && !this.#large ? takeBuffer() : undefined;
    if (large) {
      large.set(collected);
      this.#small = undefined;
      this.#large = large;
      return large;
    }
    this.#stream.update(collected);
    this.#release();
    return undefined;
  }

  #release(): void {
    if (this.#large) giveBack(this.#large);
    this.#large = undefined;
    this.#small = undefined;
  }
}
