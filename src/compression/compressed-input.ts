import { concatBytes, EMPTY_BYTES } from "../bytes.ts";
import type { Lease, MemoryBudget, ReserveOptions } from "../memory-budget.ts";
import { Turn } from "../turn.ts";

/** Buffers compressed bytes as they arrive. A decompressor looks at as many as it needs. */
export class CompressedInput {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #about: ReserveOptions;
  readonly #turn: Turn;
  #reserved: { readonly memory: MemoryBudget; readonly lease: Lease } | undefined;
  #atEnd: (() => void) | undefined;
  #bytes: Uint8Array = EMPTY_BYTES;
  #taken = 0;

  constructor(source: AsyncIterator<Uint8Array>, about: ReserveOptions) {
    this.#source = source;
    this.#about = about;
    this.#turn = new Turn(about.signal);
  }

  /**
   * Reserves `bytes` of memory in total for the decoder of this input, until the input ends. If the
   * decoder has reserved less before, this call frees it first: two decoders that each wait for
   * more could wait for each other forever. The decoder must drop that memory before it calls.
   *
   * @throws StoreError `unavailable` if an upload has waited too long
   */
  async reserve(memory: MemoryBudget, bytes: number): Promise<void> {
    if (this.#reserved?.memory === memory && this.#reserved.lease.bytes >= bytes) return;
    this.#free();
    this.#reserved = { memory, lease: await memory.reserve(bytes, this.#about) };
  }

  /** Sets what `end` does. */
  atEnd(action: () => void): void {
    this.#atEnd = action;
  }

  /** Frees the reserved memory, and does what `atEnd` set. Nothing reads the input afterwards. */
  end(): void {
    this.#atEnd?.();
    this.#atEnd = undefined;
    this.#free();
  }

  #free(): void {
    this.#reserved?.memory.free(this.#reserved.lease);
    this.#reserved = undefined;
  }

  /**
   * Lets other tasks run now and then. A few bytes may decode to gigabytes, or to any number of
   * empty blocks. While they last, the decoder awaits only settled promises.
   */
  turn(): Promise<void> {
    return this.#turn.pass();
  }

  /** Bytes that have arrived and were not taken. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Number of bytes taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Waits until `length` bytes are available.
   *
   * @returns false if the input ends first
   */
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
    // A single sufficient piece is not copied.
    this.#bytes = parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(parts);
    return missing <= 0;
  }

  /**
   * Waits until `length` bytes are available.
   *
   * @throws Error if the input ends first
   */
  async need(length: number): Promise<void> {
    if (!(await this.has(length))) throw new Error("it is cut short");
  }

  /** Takes available bytes. They stay unchanged until the caller is done with them. */
  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    this.#taken += taken.length;
    return taken;
  }

  /** Takes the available bytes, or else the next piece. Returns `undefined` at the end. */
  async takeSome(): Promise<Uint8Array | undefined> {
    return (await this.has(1)) ? this.take(this.#bytes.length) : undefined;
  }

  /**
   * Skips any number of zero bytes.
   *
   * @returns whether another byte follows them
   */
  async skipZeros(): Promise<boolean> {
    while (await this.has(1)) {
      const end = this.#bytes.findIndex((byte) => byte !== 0);
      this.take(end === -1 ? this.#bytes.length : end);
      if (end !== -1) return true;
    }
    return false;
  }
}
