import { StoreError } from "../error.ts";

/** Milliseconds that an upload's client may take before its speed counts. */
const GRACE = 10_000;
/** Bytes per millisecond, some 64 KiB/s, that an upload must come to while others wait. */
const LEAST_RATE = 64;

/** A part of the memory for decoders, and how fast the input of its decoder comes. */
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

  /** Whether this waits for an upload that has come too slowly until `now`. */
  isSlow(now: number): boolean {
    if (this.#waitingSince === undefined || !this.#refuse) return false;
    const waited = this.#waited + now - this.#waitingSince;
    return waited > GRACE && this.#received < waited * LEAST_RATE;
  }

  /** Ends the upload that this waits for. */
  revoke(): void {
    this.#refuse?.(
      new StoreError("unavailable", "the data comes too slowly, and others wait to be decompressed; send it again later"),
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
