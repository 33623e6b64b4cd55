import { concatBytes, EMPTY_BYTES } from "../bytes.ts";

/** In milliseconds. */
const LONGEST_TURN = 50;

/** Compressed bytes as they come, of which a decompressor looks at as many as it needs. */
export class CompressedInput {
  readonly #source: AsyncIterator<Uint8Array>;
  #bytes: Uint8Array = EMPTY_BYTES;
  #turned = performance.now();

  readonly #signal: AbortSignal | undefined;

  constructor(source: AsyncIterator<Uint8Array>, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#signal = signal;
  }

  /**
   * Lets others have their turn now and then. A few bytes may stand for gigabytes, or for any number of blocks with nothing in them, and as long as
   * they last nothing is waited for but promises.
   */
  async turn(): Promise<void> {
    if (performance.now() - this.#turned <= LONGEST_TURN) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#turned = performance.now();
    this.#signal?.throwIfAborted();
  }

  /** What is here and not taken. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Waits until `length` bytes are here. @returns whether they are: not if the input ends before */
  async has(length: number): Promise<boolean> {
    await this.turn();
    if (this.#bytes.length >= length) return true;
    const parts = this.#bytes.length > 0 ? [this.#bytes] : [];
    let missing = length - this.#bytes.length;
    while (missing > 0) {
      const { value, done } = await this.#source.next();
      if (done) break;
      if (value.length > 0) parts.push(value);
      missing -= value.length;
    }
    // A piece that is enough stays the one that came.
    this.#bytes = parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(parts);
    return missing <= 0;
  }

  /** Takes bytes that are here. They stay as they are until the caller is done with them. */
  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  /** What is here, or else the next piece; `undefined` at the end. */
  async takeSome(): Promise<Uint8Array | undefined> {
    return (await this.has(1)) ? this.take(this.#bytes.length) : undefined;
  }
}
