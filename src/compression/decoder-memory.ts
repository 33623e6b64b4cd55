import { StoreError } from "../error.ts";
import { onAbort } from "../on-abort.ts";
import { DecoderLease } from "./decoder-lease.ts";

/** Maximum time that an upload waits for memory, in milliseconds. */
const LONGEST_WAIT = 60_000;
/** Milliseconds between two checks of the decoders while others wait. */
const LOOK = 1000;

interface Waiting {
  readonly bytes: number;
  readonly isUpload: boolean;
  readonly since: number;
  readonly grant: (lease: DecoderLease) => void;
  readonly refuse: (reason: unknown) => void;
}

/** The input of a decoder that asks for memory. */
export interface DecoderInput {
  readonly signal: AbortSignal | undefined;
  /** Whether a server's client sends the input, at its own speed. */
  readonly isUpload: boolean;
}

/**
 * Limits the memory, in bytes, of all decoders that run at once. A decoder reserves its maximum
 * memory before it begins. If too little is left, it waits for others to end, in the order of
 * asking.
 *
 * A client that uploads slowly must not delay others without limit. So while a decoder waits, an
 * upload that is too slow fails with `unavailable`. An upload that has waited for a minute fails,
 * too. The server then answers 503, and Nix retries. A decoder's state can't be swapped out in the
 * meantime, and storing each upload before it is decoded would cost every client time and disk
 * space. A page's own downloads are never refused: they share one queue and wait for each other.
 */
export class DecoderMemory {
  readonly #limit: number;
  #used = 0;
  readonly #leases = new Set<DecoderLease>();
  readonly #queue: Waiting[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Waits for memory and takes it. The caller must `free` it.
   *
   * @param bytes at most the limit
   * @throws StoreError `unavailable` if an upload has waited too long
   */
  async reserve(bytes: number, { signal, isUpload }: DecoderInput): Promise<DecoderLease> {
    signal?.throwIfAborted();
    if (this.#queue.length === 0 && this.#fits(bytes)) return this.#grant(bytes, isUpload);
    return new Promise<DecoderLease>((resolve, reject) => {
      const settle = (): void => {
        unlink();
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
      };
      const waiting: Waiting = {
        bytes,
        isUpload,
        since: performance.now(),
        grant: (lease) => {
          settle();
          resolve(lease);
        },
        refuse: (reason) => {
          settle();
          reject(reason);
          this.#serve();
        },
      };
      const unlink = onAbort(signal, () => waiting.refuse(signal?.reason));
      this.#queue.push(waiting);
      this.#timer ??= setInterval(() => this.#look(), LOOK);
    });
  }

  free(lease: DecoderLease): void {
    if (!this.#leases.delete(lease)) return;
    this.#used -= lease.bytes;
    this.#serve();
  }

  #fits(bytes: number): boolean {
    return this.#used + bytes <= this.#limit;
  }

  #grant(bytes: number, isUpload: boolean): DecoderLease {
    const lease = new DecoderLease(bytes, isUpload);
    this.#used += bytes;
    this.#leases.add(lease);
    return lease;
  }

  #serve(): void {
    for (let first = this.#queue[0]; first && this.#fits(first.bytes); first = this.#queue[0])
      first.grant(this.#grant(first.bytes, first.isUpload));
    if (this.#queue.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const waiting of [...this.#queue])
      if (waiting.isUpload && now - waiting.since > LONGEST_WAIT)
        waiting.refuse(new StoreError("unavailable", "too many uploads are being decompressed; send it again later"));
    // Revoke one at a time, because the remaining leases may then be enough.
    if (this.#queue.length > 0) [...this.#leases].find((lease) => lease.isSlow(now))?.revoke();
  }
}

/** Memory of decoders that use arrays, which the engine can free. */
export const arrayMemory = new DecoderMemory(512 * 1024 * 1024);
