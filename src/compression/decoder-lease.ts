import { StoreError } from "../error.ts";

/** Milliseconds of waiting for an upload before its speed counts. */
const GRACE = 10_000;
/** Minimum speed of an upload while others wait, in bytes per millisecond: some 64 KiB/s. */
const LEAST_RATE = 64;

/** A share of the decoders' memory. It also measures the speed of its decoder's input. */
export class DecoderLease {
  readonly bytes: number;
  readonly #isUpload: boolean;
  /** Milliseconds spent waiting for the client. The decoder's own time doesn't count. */
  #waited = 0;
  #received = 0;
  #waitingSince: number | undefined;
  #refuse: ((reason: StoreError) => void) | undefined;

  constructor(bytes: number, isUpload: boolean) {
    this.bytes = bytes;
    this.#isUpload = isUpload;
  }

  /** Whether the decoder waits for an upload that was too slow up to the time `now`. */
  isSlow(now: number): boolean {
    if (this.#waitingSince === undefined || !this.#refuse) return false;
    const waited = this.#waited + now - this.#waitingSince;
    return waited > GRACE && this.#received < waited * LEAST_RATE;
  }

  /** Ends the upload that the decoder waits for. */
  revoke(): void {
    this.#refuse?.(
      new StoreError("unavailable", "the upload is too slow while others wait to be decompressed; send it again later"),
    );
  }

  /**
   * Waits for the next piece of the input.
   *
   * @throws StoreError `unavailable` if the lease is revoked. `next` is then still pending
   */
  async piece(next: Promise<IteratorResult<Uint8Array>>): Promise<IteratorResult<Uint8Array>> {
    if (!this.#isUpload) return next;
    this.#waitingSince = performance.now();
    try {
      const result = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        this.#refuse = reject;
        next.then(resolve, reject);
      });
      if (!result.done) this.#received += result.value.length;
      return result;
    } finally {
      this.#waited += performance.now() - this.#waitingSince;
      this.#waitingSince = undefined;
      this.#refuse = undefined;
    }
  }
}
