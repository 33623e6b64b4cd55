import { StoreError } from "../../src/error.ts";
import { HashPool } from "../../src/hash/pool.ts";
import type { HashWorker } from "../../src/hash/pool-member.ts";
import { type HashReply, type HashRequest, HashServer } from "../../src/hash/pool-protocol.ts";

/**
 * Simulates a worker in this thread. Buffers are transferred as by `postMessage`, and replies come
 * in later turns of the event loop.
 */
export class FakeWorker implements HashWorker {
  readonly requests: HashRequest[] = [];
  terminated = false;
  /** Kinds of requests that are held back until `release`. */
  held = new Set<HashRequest["kind"]>();
  /** Total size of the buffers that were sent and not returned, in bytes. */
  taken = 0;
  #server = new HashServer();
  #waiting: HashRequest[] = [];
  #onReply: (reply: HashReply) => void = () => {};
  #onLost: (error: StoreError) => void = () => {};

  postMessage(message: HashRequest, transfer: ArrayBuffer[]): void {
    const request = structuredClone(message, { transfer });
    this.requests.push(request);
    if ("buffer" in request) this.taken += request.buffer.byteLength;
    if (this.held.has(request.kind)) this.#waiting.push(request);
    else void this.#answer(request);
  }

  listen(onReply: (reply: HashReply) => void, onLost: (error: StoreError) => void): void {
    this.#onReply = onReply;
    this.#onLost = onLost;
  }

  terminate(): void {
    this.terminated = true;
  }

  release(): void {
    this.held.clear();
    for (const request of this.#waiting.splice(0)) void this.#answer(request);
  }

  fail(kind: HashRequest["kind"]): void {
    for (const { id } of this.#waiting.filter((request) => request.kind === kind)) {
      this.#onReply({ id, buffer: undefined, kind: "failed", message: "out of memory" });
    }
    this.#waiting = this.#waiting.filter((request) => request.kind !== kind);
  }

  die(): void {
    this.#onLost(new StoreError("unavailable", "the worker died"));
  }

  async #answer(request: HashRequest): Promise<void> {
    const reply = await this.#server.answer(request);
    if (this.terminated) return;
    this.taken -= reply.buffer?.byteLength ?? 0;
    this.#onReply(structuredClone(reply, { transfer: reply.buffer ? [reply.buffer] : [] }));
  }
}

export function fakePool(size: number): { pool: HashPool; workers: FakeWorker[] } {
  const workers: FakeWorker[] = [];
  const spawn = (): FakeWorker => {
    const worker = new FakeWorker();
    workers.push(worker);
    return worker;
  };
  // The small limit makes the pool behave as with many workers. Otherwise it would send no short
  // blobs to workers.
  return { pool: new HashPool(size, spawn, 64 * 1024), workers };
}
