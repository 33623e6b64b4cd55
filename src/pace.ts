import { StoreError } from "./error.ts";

/**
 * How long the server waits for a client, in milliseconds, before a low speed or a pause makes the
 * client slow.
 */
const GRACE = 10_000;
/** Minimum speed of a client while others wait, in bytes per millisecond (64 kB/s). */
const LEAST_RATE = 64;

/**
 * Measures how fast the client of a server sends its request or reads its answer. It counts
 * only the time during which the server waits for the client.
 */
export class Pace {
  /** Milliseconds spent waiting for the client. */
  #waited = 0;
  #bytes = 0;
  #waitingSince: number | undefined;
  #refuse: ((reason: StoreError) => void) | undefined;

  /**
   * Notes that the server begins to wait for the client.
   *
   * @param refuse ends the wait and the request
   */
  begin(refuse: (reason: StoreError) => void): void {
    this.#waitingSince = performance.now();
    this.#refuse = refuse;
  }

  /** Notes the end of a wait, and how many bytes the client has sent or read. */
  end(bytes: number): void {
    if (this.#waitingSince !== undefined) this.#waited += performance.now() - this.#waitingSince;
    this.#waitingSince = undefined;
    this.#refuse = undefined;
    this.#bytes += bytes;
  }

  /**
   * Whether the server waits for the client, and the client has stalled or was too slow up to the
   * time `now`.
   */
  isSlow(now: number): boolean {
    if (this.#waitingSince === undefined) return false;
    const stalled = now - this.#waitingSince;
    const waited = this.#waited + stalled;
    // The average alone is not enough: the client's system buffers the first megabytes at once, so
    // a stalled client can have a high average.
    return stalled > GRACE || (waited > GRACE && this.#bytes < waited * LEAST_RATE);
  }

  /** Ends the request if the server waits for the client. */
  revoke(): void {
    this.#refuse?.(new StoreError("unavailable", "this request is too slow while others wait for its memory; try again later"));
  }

  /**
   * Yields the bytes that the client sends.
   *
   * @throws StoreError `unavailable` if the request is revoked; a read of `source` is then still
   *   pending
   */
  async *received(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const iterator = source[Symbol.asyncIterator]();
    let isDone = false;
    try {
      for (;;) {
        const result = await this.#next(iterator);
        isDone = result.done ?? false;
        if (result.done) return;
        yield result.value;
      }
    } finally {
      // Don't wait: after a revocation, the iterator returns only when the client sends more.
      if (!isDone) iterator.return?.().catch(() => {});
    }
  }

  async #next(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    let bytes = 0;
    try {
      const result = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        this.begin(reject);
        iterator.next().then(resolve, reject);
      });
      if (!result.done) bytes = result.value.length;
      return result;
    } finally {
      this.end(bytes);
    }
  }
}
