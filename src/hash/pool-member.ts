import { StoreError } from "../error.ts";
import type { HashReply, HashRequest, HashResults } from "./pool-protocol.ts";

/** A worker that runs `HashServer`, as the platform has it. */
export interface HashWorker {
  postMessage(message: HashRequest, transfer: ArrayBuffer[]): void;
  /** Called once. */
  listen(onReply: (reply: HashReply) => void, onLost: (error: StoreError) => void): void;
  terminate(): void;
}

type RequestOf<K extends HashRequest["kind"]> = Omit<Extract<HashRequest, { kind: K }>, "id">;

export interface MemberReply<K extends HashRequest["kind"]> {
  readonly result: HashResults[K];
  /** The one that was sent. */
  readonly buffer: ArrayBuffer | undefined;
}

/** The buffer of a reply to a request that had one. */
export function returnedBuffer({ buffer }: { readonly buffer: ArrayBuffer | undefined }): ArrayBuffer {
  if (!buffer) throw new StoreError("internal", "a hash worker kept a buffer");
  return buffer;
}

interface Call {
  resolve(reply: MemberReply<HashRequest["kind"]>): void;
  reject(error: StoreError): void;
  weight: number;
}

/** What an open stream counts for, in bytes: more than what is on its way at a time, so that two streams get two workers. */
const STREAM_BURDEN = 8 * 1024 * 1024;

/** One worker of a pool and what it has been asked for. */
export class PoolMember {
  #worker: HashWorker;
  #calls = new Map<number, Call>();
  #nextCall = 0;
  #nextStream = 0;
  readonly #streams = new Set<number>();
  #error: StoreError | undefined;
  /** Bytes that wait to be hashed, with something for each call. */
  load = 0;

  constructor(worker: HashWorker) {
    this.#worker = worker;
    worker.listen(
      (reply) => {
        const call = this.#settle(reply.id);
        if (reply.kind === "done") call?.resolve(reply);
        else call?.reject(new StoreError("internal", `a hash worker failed: ${reply.message}`));
      },
      (error) => this.#lose(error),
    );
  }

  get lost(): boolean {
    return this.#error !== undefined;
  }

  /** What it has to do, and will have: bytes. */
  get burden(): number {
    return this.load + this.#streams.size * STREAM_BURDEN;
  }

  /** A number for a stream that only this worker knows. It counts as work to come until it is ended. */
  nextStream(): number {
    this.#streams.add(this.#nextStream);
    return this.#nextStream++;
  }

  endStream(stream: number): void {
    this.#streams.delete(stream);
  }

  /** @param weight bytes to be hashed */
  call<K extends HashRequest["kind"]>(request: RequestOf<K>, transfer: ArrayBuffer[] = [], weight = 0): Promise<MemberReply<K>> {
    if (this.#error) return Promise.reject(this.#error);
    const id = this.#nextCall++;
    this.load += weight + 1;
    return new Promise((resolve, reject) => {
      // The worker runs our own script, and answers each request by the result of its kind.
      this.#calls.set(id, { resolve: resolve as Call["resolve"], reject, weight });
      try {
        this.#worker.postMessage({ ...request, id } as unknown as HashRequest, transfer);
      } catch (cause) {
        this.#settle(id)?.reject(new StoreError("invalid", "what is to be hashed can't be sent to a worker", { cause }));
      }
    });
  }

  close(): void {
    this.#lose(new StoreError("closed", "the hash workers were ended"));
  }

  #lose(error: StoreError): void {
    this.#error ??= error;
    for (const id of [...this.#calls.keys()]) this.#settle(id)?.reject(this.#error);
    this.#worker.terminate();
  }

  #settle(id: number): Call | undefined {
    const call = this.#calls.get(id);
    if (call) this.load -= call.weight + 1;
    this.#calls.delete(id);
    return call;
  }
}
