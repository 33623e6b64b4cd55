import { StoreError } from "../error.ts";

/**
 * Paths that fail in a row because the other side isn't there, until no more are tried: each of
 * them was retried for a while.
 */
const MAX_IN_A_ROW = 10;

/** Tells a server that is gone from one that has trouble with some paths. */
export class Outage {
  readonly #name: string;
  #inARow = 0;
  #last: StoreError | undefined;

  /** @param name of the server, for messages */
  constructor(name: string) {
    this.#name = name;
  }

  /** A path came. */
  worked(): void {
    this.#inARow = 0;
  }

  /** A path failed. */
  failed(error: StoreError): void {
    if (error.code !== "unavailable" && error.code !== "denied") return;
    this.#inARow++;
    this.#last = error;
  }

  /**
   * What to say of a path that isn't tried, because the server is gone; `undefined` as long as it
   * isn't.
   */
  get reason(): StoreError | undefined {
    if (this.#inARow < MAX_IN_A_ROW || !this.#last) return undefined;
    const message = `${this.#name} failed for ${this.#inARow} store paths in a row, so others are not tried: ${this.#last.message}`;
    return new StoreError(this.#last.code, message, { cause: this.#last });
  }
}
