import { onAbort } from "./on-abort.ts";
/**
 * How often, and how soon, an operation that failed for a reason that may pass is tried again.
 * Delays are in milliseconds.
 */
export interface RetryPolicy {
  /** Tries in all; 5 by default, as Nix's `download-attempts`. */
  readonly attempts?: number | undefined;
  /** The delay before the second try, which doubles with each further one; 250 by default. */
  readonly delay?: number | undefined;
  /** The same if the other side says that it has too much to do; 1000 by default. */
  readonly busyDelay?: number | undefined;
  /** No delay is longer, not even one that the other side asks for; 60,000 by default. */
  readonly maxDelay?: number | undefined;
}

/** What a failure tells about the next try. */
export interface RetryHint {
  readonly isBusy?: boolean | undefined;
  /** The other side asks for a delay of so many milliseconds at least. */
  readonly atLeast?: number | undefined;
}

/**
 * The delays between the tries of one operation: exponential, with jitter, so that clients that
 * failed together don't come back together.
 */
export class Backoff {
  readonly #attempts: number;
  readonly #delay: number;
  readonly #busyDelay: number;
  readonly #maxDelay: number;
  #failures = 0;

  constructor({ attempts = 5, delay = 250, busyDelay = 1000, maxDelay = 60_000 }: RetryPolicy = {}) {
    this.#attempts = attempts;
    this.#delay = delay;
    this.#busyDelay = busyDelay;
    this.#maxDelay = maxDelay;
  }

  /** Failures since the beginning, or since the last `reset`. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure. @returns the delay before the next try; `undefined` if there is none */
  fail({ isBusy = false, atLeast = 0 }: RetryHint = {}): number | undefined {
    this.#failures++;
    if (this.#failures >= this.#attempts) return undefined;
    const base = (isBusy ? this.#busyDelay : this.#delay) * 2 ** (this.#failures - 1);
    const backoff = Math.min(base, this.#maxDelay);
    return Math.min(atLeast + backoff / 2 + (Math.random() * backoff) / 2, this.#maxDelay);
  }

  /** The operation got further: earlier failures don't count any more. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Resolves after `delay` milliseconds. Rejects with `signal.reason` at an abort. */
export function pause(delay: number, signal?: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unlink();
      resolve();
    }, delay);
    const giveUp = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted) giveUp();
    const unlink = onAbort(signal, giveUp);
  });
}
