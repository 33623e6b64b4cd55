import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { StoreError } from "../error.ts";
import { type Lease, MemoryBudget } from "../memory-budget.ts";
import { Pace } from "../pace.ts";

/** Memory of a long upload at most, in bytes: what is cut, hashed and written. */
export const UPLOAD_MEMORY: number = 16 * 1024 * 1024;
/** Memory of an answer with content at most, in bytes: what is read ahead of the client. */
export const DOWNLOAD_MEMORY: number = 6 * 1024 * 1024;

/** Memory of all requests together, in bytes, if no flag says otherwise. */
export const DEFAULT_REQUEST_MEMORY: number = 768 * 1024 * 1024;

/** Milliseconds that a client may send or read nothing, by default. Nix itself waits as long. */
export const STALL_TIMEOUT = 300_000;

export interface TransferOptions {
  /** Memory that all requests share. */
  readonly memory?: MemoryBudget | undefined;
  /** Milliseconds that the client may send or read nothing; five minutes by default. */
  readonly stallTimeout?: number | undefined;
}

/** The bytes that the client of one request sends and reads, and the memory that they need. */
export class Transfer {
  /** Speed of the client. */
  readonly pace = new Pace();
  readonly #memory: MemoryBudget;
  readonly #stallTimeout: number;
  readonly #breakOff: () => void;
  #lease: Lease | undefined;
  /** Runs only while the server waits for the client. */
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  /** @param breakOff resets the request, because the client is too slow or gone */
  constructor(breakOff: () => void, { memory, stallTimeout = STALL_TIMEOUT }: TransferOptions = {}) {
    this.#breakOff = breakOff;
    this.#memory = memory ?? new MemoryBudget(DEFAULT_REQUEST_MEMORY);
    this.#stallTimeout = stallTimeout;
  }

  /**
   * Reserves memory until the request ends. If other requests have taken too much, waits for them.
   *
   * @param bytes in total, for everything that the request does
   * @throws StoreError `unavailable` if it has waited too long
   */
  async reserve(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#hasEnded) throw new StoreError("unavailable", "the client has gone");
    if (this.#lease && this.#lease.bytes >= bytes) return;
    // Two requests that each wait for more could wait for each other forever.
    this.#free();
    this.#lease = await this.#memory.reserve(bytes, { signal, pace: this.pace });
    if (this.#hasEnded) this.#free();
  }

  /**
   * Yields what the client sends. Resets the request if the client stalls.
   *
   * @throws StoreError `unavailable` if the client is too slow while others wait for its memory
   */
  async *received(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#watch();
    try {
      for await (const piece of this.pace.received(body)) {
        clearTimeout(this.#timer);
        yield piece;
        this.#watch();
      }
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /**
   * Waits until the client has read enough for more bytes. Resets the request if the client stalls,
   * or is too slow while others wait for its memory.
   *
   * @param bytes number of bytes that the client reads meanwhile
   */
  async drained(bytes: number, drained: Promise<unknown>): Promise<void> {
    this.#beginToSend();
    try {
      await drained;
    } finally {
      this.#endToSend(bytes);
    }
  }

  /**
   * Passes an answer on. Its reader has to take the next piece when the client has read the one
   * before.
   */
  async *sent(answer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of answer) {
      this.#beginToSend();
      try {
        yield piece;
      } finally {
        this.#endToSend(piece.length);
      }
    }
  }

  /** Frees the memory, and stops to watch the client. */
  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#free();
  }

  #beginToSend(): void {
    this.pace.begin(this.#breakOff);
    this.#watch();
  }

  #endToSend(bytes: number): void {
    clearTimeout(this.#timer);
    this.pace.end(bytes);
  }

  /** Without this timer, a vanished client would hold the resources of its request forever. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (!this.#hasEnded) this.#timer = setTimeout(this.#breakOff, this.#stallTimeout);
  }

  #free(): void {
    if (this.#lease) this.#memory.free(this.#lease);
    this.#lease = undefined;
  }
}

/** The transfer of an RPC call. */
export const TRANSFER = createContextKey<Transfer | undefined>(undefined);

/** Reserves memory for an RPC call, until it ends. See `Transfer.reserve`. */
export async function reserveMemory(bytes: number, { values, signal }: HandlerContext): Promise<void> {
  await values.get(TRANSFER)?.reserve(bytes, signal);
}
