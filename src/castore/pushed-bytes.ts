import { concatBytes, EMPTY_BYTES } from "../bytes.ts";

/**
 * A request of a parser: an exact number of bytes, some bytes up to a number, or `"taken"`: a pause
 * until the caller has handled the parser's output.
 */
export type Request = { readonly exactly: number } | { readonly upTo: number } | "taken";

/**
 * A parser as a generator: it yields requests and receives bytes, which are valid until its next
 * request.
 */
export type Parsing<T = void> = Generator<Request, T, Uint8Array>;

/**
 * Runs a parser on pushed bytes. It copies bytes only to complete a request for an exact number.
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

  /** Whether the parser has returned. */
  get isDone(): boolean {
    return this.#request === undefined;
  }

  /** Whether no byte has arrived for the current request. */
  get isBetweenRequests(): boolean {
    return this.#carriedSize === 0;
  }

  /** Number of bytes that the parser has received. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Pushes bytes. Yields whenever the parser waits for the caller to handle its output. Ignores
   * bytes after the parser has returned.
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
