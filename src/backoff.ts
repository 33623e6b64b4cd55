/**
 * How often and how soon to retry an operation after a failure that may pass. Delays are in
 * milliseconds.
 */
export interface RetryPolicy {
  /** Number of tries in all; 5 by default, as Nix's `download-attempts`. */
  readonly attempts?: number | undefined;
  /** Delay before the second try; 250 by default. It doubles with each further try. */
  readonly delay?: number | undefined;
  /** Used instead of `delay` if the other side says that it is overloaded; 1000 by default. */
  readonly busyDelay?: number | undefined;
  /** Upper limit of every delay, even of one that the other side asks for; 60,000 by default. */
  readonly maxDelay?: number | undefined;
}

/** Information in a failure about the next try. */
export interface RetryHint {
  readonly isBusy?: boolean | undefined;
  /** Minimum delay that the other side asks for, in milliseconds. */
  readonly atLeast?: number | undefined;
}

/**
 * Calculates the delays between the tries of one operation. They grow exponentially, with jitter,
 * so that clients that failed together don't all retry together.
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

  /**
   * Counts a failure.
   *
   * @returns the delay before the next try in milliseconds, or `undefined` if no tries are left
   */
  fail({ isBusy = false, atLeast = 0 }: RetryHint = {}): number | undefined {
    this.#failures++;
    if (this.#failures >= this.#attempts) return undefined;
    const base = (isBusy ? this.#busyDelay : this.#delay) * 2 ** (this.#failures - 1);
    const backoff = Math.min(base, this.#maxDelay);
    return Math.min(atLeast + backoff / 2 + (Math.random() * backoff) / 2, this.#maxDelay);
  }

  /** Forgets earlier failures, because the operation made progress. */
  reset(): void {
    this.#failures = 0;
  }
}
