import { StoreError } from "./error.ts";
import { onAbort } from "./on-abort.ts";
import type { Pace } from "./pace.ts";

/**
 * Maximum time that a server's request waits for memory, in milliseconds. Nix ends an upload after
 * five minutes in which nothing was sent.
 */
const LONGEST_WAIT = 240_000;
/** Milliseconds between two checks of the leases while others wait. */
const LOOK = 1000;

/** Memory that one caller has reserved. Pass the same object to `free`. */
export interface Lease {
  readonly bytes: number;
  readonly pace: Pace | undefined;
}

export interface ReserveOptions {
  readonly signal?: AbortSignal | undefined;
  /** Speed of the client whose request needs the memory, in a server. */
  readonly pace?: Pace | undefined;
}

interface Waiting {
  readonly bytes: number;
  readonly pace: Pace | undefined;
  readonly since: number;
  readonly grant: (lease: Lease) => void;
  readonly refuse: (reason: unknown) => void;
}

/**
 * Limits the memory, in bytes, of all work that runs at once. Work reserves its maximum memory
 * before it begins. If too little memory is left, callers wait in a queue, first come, first
 * served.
 *
 * A slow client of a server must not delay others without limit. So while work waits, a request
 * whose client is too slow fails with `unavailable`. A request that has waited for four minutes
 * fails, too. The server then answers 503, and Nix retries. Work without a client, for example a
 * page's own download, is never refused. It only waits.
 */
export class MemoryBudget {
  #limit: number;
  #used = 0;
  readonly #leases = new Set<Lease>();
  /** Leases whose requests were ended. They are freed soon. */
  readonly #revoked = new WeakSet<Lease>();
  readonly #queue: Waiting[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Changes the limit. Existing leases stay valid. */
  set limit(bytes: number) {
    this.#limit = bytes;
  }

  /**
   * Waits for memory and takes it. The caller must `free` it.
   *
   * @param bytes at most the limit
   * @throws StoreError `unavailable` if a request has waited too long
   */
  async reserve(bytes: number, { signal, pace }: ReserveOptions = {}): Promise<Lease> {
    signal?.throwIfAborted();
    if (this.#queue.length === 0 && this.#fits(bytes)) return this.#grant(bytes, pace);
    return new Promise<Lease>((resolve, reject) => {
      const settle = (): void => {
        unlink();
        const at = this.#queue.indexOf(waiting);
        if (at !== -1) this.#queue.splice(at, 1);
      };
      const waiting: Waiting = {
        bytes,
        pace,
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

  free(lease: Lease): void {
    if (!this.#leases.delete(lease)) return;
    this.#used -= lease.bytes;
    this.#serve();
  }

  #fits(bytes: number): boolean {
    return this.#used + bytes <= this.#limit;
  }

  #grant(bytes: number, pace: Pace | undefined): Lease {
    const lease = { bytes, pace };
    this.#used += bytes;
    this.#leases.add(lease);
    return lease;
  }

  #serve(): void {
    for (let first = this.#queue[0]; first && this.#fits(first.bytes); first = this.#queue[0])
      first.grant(this.#grant(first.bytes, first.pace));
    if (this.#queue.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    // To refuse one may serve others.
    for (const waiting of [...this.#queue])
      if (this.#queue.includes(waiting) && waiting.pace && now - waiting.since > LONGEST_WAIT)
        waiting.refuse(new StoreError("unavailable", "too many requests need memory; try again later"));
    // Revoke one at a time, because the remaining leases may then be enough.
    if (this.#queue.length === 0) return;
    const slow = [...this.#leases].find((lease) => !this.#revoked.has(lease) && lease.pace?.isSlow(now));
    if (!slow) return;
    this.#revoked.add(slow);
    slow.pace?.revoke();
  }
}
