import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { StoreError } from "../error.ts";
import { type Lease, MemoryBudget } from "../memory-budget.ts";
import { Pace } from "../pace.ts";

/** Maximum memory of an upload, in bytes, for the data that is being cut, hashed and written. */
export const UPLOAD_MEMORY: number = 28 * 1024 * 1024;
/** Maximum memory of a request that reads content, in bytes, for the data that is read ahead. */
export const DOWNLOAD_MEMORY: number = 6 * 1024 * 1024;

/** Default limit for the memory of all requests together, in bytes. */
export const DEFAULT_REQUEST_MEMORY: number = 1024 * 1024 * 1024;

/**
 * How long the server waits for a client that sends or reads nothing, in milliseconds, by default.
 * Nix itself waits as long.
 */
export const STALL_TIMEOUT = 300_000;

export interface TransferOptions {
  /** Budget that requests share. By default, each request has its own. */
  readonly memory?: MemoryBudget | undefined;
  /**
   * How long the server waits for a client that sends or reads nothing, in milliseconds; five
   * minutes by default.
   */
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

  /** @param breakOff resets the request of a client that has stalled or is too slow */
  constructor(breakOff: () => void, { memory, stallTimeout = STALL_TIMEOUT }: TransferOptions = {}) {
    this.#breakOff = breakOff;
    this.#memory = memory ?? new MemoryBudget(DEFAULT_REQUEST_MEMORY);
    this.#stallTimeout = stallTimeout;
  }

  /**
   * Reserves memory until the request ends. If other requests have taken too much, waits for them.
   *
   * @param bytes memory of the whole request, including memory that it has reserved before
   * @throws StoreError `unavailable` if the request has waited too long, or has ended
   */
  async reserve(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#hasEnded) throw new StoreError("unavailable", "the client has gone");
    if (this.#lease && this.#lease.bytes >= bytes) return;
    // Free the smaller lease first: two requests that keep theirs while they wait could deadlock.
    this.#free();
    this.#lease = await this.#memory.reserve(bytes, { signal, pace: this.pace });
    if (this.#hasEnded) this.#free();
  }

  /**
   * Yields the bytes that the client sends. Resets the request if the client stalls.
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
   * Waits for `drained`, the promise that the client has read enough to send more. Resets the
   * request if the client stalls, or is too slow while other requests wait for the memory that this
   * one holds.
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
   * Passes an answer on. The consumer must take a piece only after the client has read the one
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
    // The client still has to read what was written, until `end`.
    this.#beginToSend();
  }

  /** Frees the memory, and stops watching the client. */
  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.pace.end(0);
    this.#free();
  }

  #beginToSend(): void {
    if (this.#hasEnded) return;
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
