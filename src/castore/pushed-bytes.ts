import { concatBytes, EMPTY_BYTES } from "../bytes.ts";

/**
 * What a parser waits for: exactly so many bytes, some up to so many, or that the caller has taken
 * in what it was given.
 */
export type Request = { readonly exactly: number } | { readonly upTo: number } | "taken";

/**
 * A parser written in the order of what it reads: it yields requests, and gets the bytes. They are
 * valid until its next request.
 */
export type Parsing<T = void> = Generator<Request, T, Uint8Array>;

/**
 * Runs a parser on bytes that are pushed. It keeps those alone that a request for an exact number
 * has to wait for.
 */
export class PushedBytes {
  readonly #parsing: Parsing;
  /** `undefined` once the parser has returned. */
  #request: Request | undefined;
  #carried: Uint8Array[] = [];
  #carriedSize = 0;
  #offset = 0;

  constructor(parsing: Parsing) {
    this.#parsing = parsing;
    this.#answer(EMPTY_BYTES);
  }

  /** Whether the parser has all that it wants. */
  get isDone(): boolean {
    return this.#request === undefined;
  }

  /** Whether no byte has come for the last request. */
  get isBetweenRequests(): boolean {
    return this.#carriedSize === 0;
  }

  /** How many bytes were pushed and wanted. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Yields whenever the parser waits for the caller to take in what it was given. What comes after
   * the parser has returned is ignored.
   */
  *push(chunk: Uint8Array): Generator<void> {
    for (let at = 0; this.#request !== undefined; ) {
      if (this.#request === "taken") {
        yield;
        this.#answer(EMPTY_BYTES);
        continue;
      }
      if (at === chunk.length) return;
      const isExact = "exactly" in this.#request;
      const wanted = "exactly" in this.#request ? this.#request.exactly - this.#carriedSize : this.#request.upTo;
      const bytes = chunk.subarray(at, at + wanted);
      at += bytes.length;
      this.#offset += bytes.length;
      if (isExact && bytes.length < wanted) this.#carry(bytes);
      else this.#answer(isExact ? this.#withCarried(bytes) : bytes);
    }
  }

  #answer(bytes: Uint8Array): void {
    const { value, done } = this.#parsing.next(bytes);
    this.#request = done ? undefined : value;
  }

  #carry(bytes: Uint8Array): void {
    this.#carried.push(bytes.slice());
    this.#carriedSize += bytes.length;
  }

  #withCarried(bytes: Uint8Array): Uint8Array {
    if (this.#carriedSize === 0) return bytes;
    const whole = concatBytes([...this.#carried, bytes]);
    this.#carried = [];
    this.#carriedSize = 0;
    return whole;
  }
}
