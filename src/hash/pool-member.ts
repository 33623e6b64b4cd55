import { StoreError } from "../error.ts";
import type { HashReply, HashRequest, HashResults } from "./pool-protocol.ts";

/** A worker of the platform that runs `HashServer`. */
export interface HashWorker {
  postMessage(message: HashRequest, transfer: ArrayBuffer[]): void;
  /** Registers the callbacks. Called once. */
  listen(onReply: (reply: HashReply) => void, onLost: (error: StoreError) => void): void;
  terminate(): void;
}

type RequestOf<K extends HashRequest["kind"]> = Omit<Extract<HashRequest, { kind: K }>, "id">;

export interface MemberReply<K extends HashRequest["kind"]> {
  readonly result: HashResults[K];
  /** The buffer that the request sent. */
  readonly buffer: ArrayBuffer | undefined;
}

/**
 * The buffer of a reply to a request that sent one.
 *
 * @throws StoreError `internal` if there is none
 */
export function returnedBuffer({ buffer }: { readonly buffer: ArrayBuffer | undefined }): ArrayBuffer {
  if (!buffer) throw new StoreError("internal", "a hash worker did not return a buffer");
  return buffer;
}

interface Call {
  resolve(reply: MemberReply<HashRequest["kind"]>): void;
  reject(error: StoreError): void;
  weight: number;
}

/**
 * Work that an open stream or cutter will probably bring, in bytes. A stream can't be split, so it
 * is what an import waits for in the end. A cutter goes to the worker of a stream only if the
 * other workers have many cutters.
 */
export const STREAM_BURDEN: number = 128 * 1024 * 1024;
export const CUTTER_BURDEN: number = 8 * 1024 * 1024;

/** One worker of a pool, and the calls that it has not answered. */
export class PoolMember {
  #worker: HashWorker;
  #calls = new Map<number, Call>();
  #nextCall = 0;
  #nextStream = 0;
  /** Burdens of the streams and cutters that are open. */
  readonly #streams = new Map<number, number>();
  #error: StoreError | undefined;
  /** Bytes that wait to be hashed, plus 1 per call. */
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

  /** Current and expected work, in bytes. */
  get burden(): number {
    let burden = this.load;
    for (const expected of this.#streams.values()) burden += expected;
    return burden;
  }

  /**
   * Starts a stream or a cutter. It counts as expected work of `burden` bytes until it is ended, or
   * can't be opened.
   *
   * @param open opens the stream in the worker, under a number that is unique there
   * @returns the number, and a promise that resolves when the worker has opened the stream. There
   *   is no need to wait for it: the worker answers one request after the other.
   */
  startStream(burden: number, open: (stream: number) => Promise<unknown>): { stream: number; opened: Promise<unknown> } {
    const stream = this.#nextStream++;
    this.#streams.set(stream, burden);
    const opened = open(stream);
    opened.catch(() => this.endStream(stream));
    return { stream, opened };
  }

  endStream(stream: number): void {
    this.#streams.delete(stream);
  }

  /** Sends a request. @param weight bytes to be hashed */
  call<K extends HashRequest["kind"]>(request: RequestOf<K>, transfer: ArrayBuffer[] = [], weight = 0): Promise<MemberReply<K>> {
    if (this.#error) return Promise.reject(this.#error);
    const id = this.#nextCall++;
    this.load += weight + 1;
    return new Promise((resolve, reject) => {
      // The worker runs our own script, so each result has the type that its request's kind gives.
      this.#calls.set(id, { resolve: resolve as Call["resolve"], reject, weight });
      try {
        this.#worker.postMessage({ ...request, id } as unknown as HashRequest, transfer);
      } catch (cause) {
        this.#settle(id)?.reject(new StoreError("invalid", "can't send the bytes to a hash worker", { cause }));
      }
    });
  }

  close(): void {
    this.#lose(new StoreError("closed", "the hash workers are closed"));
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
