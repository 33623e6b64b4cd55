import { StoreError } from "../error.ts";

/**
 * Consecutive failures after which no more paths are tried. Each of them was already retried for a
 * while.
 */
const MAX_IN_A_ROW = 10;

/** Distinguishes a server that is down from one that fails for some paths only. */
export class Outage {
  readonly #name: string;
  #inARow = 0;
  #last: StoreError | undefined;

  /** @param name name of the server, for messages */
  constructor(name: string) {
    this.#name = name;
  }

  /** Records that a path was read. */
  worked(): void {
    this.#inARow = 0;
  }

  /** Records that a path failed. Only `unavailable` and `denied` count. */
  failed(error: StoreError): void {
    if (error.code !== "unavailable" && error.code !== "denied") return;
    this.#inARow++;
    this.#last = error;
  }

  /**
   * The error for paths that are not tried because the server is down; `undefined` while it is up.
   */
  get reason(): StoreError | undefined {
    if (this.#inARow < MAX_IN_A_ROW || !this.#last) return undefined;
    const message = `${this.#name} failed for ${this.#inARow} store paths in a row, so others are not tried: ${this.#last.message}`;
    return new StoreError(this.#last.code, message, { cause: this.#last });
  }
}
