import { StoreError } from "../error.ts";
import type { HashEngine, HashStream } from "./engine.ts";
import type { HashAlgorithm } from "./hash-stream.ts";
import type { HashReply, HashRequest } from "./pool-protocol.ts";

/** A worker that runs `serveHashing`, as the platform has it. */
export interface HashWorker {
  postMessage(message: HashRequest, transfer: ArrayBuffer[]): void;
  /** Called once. */
  listen(onReply: (reply: HashReply) => void, onLost: (error: StoreError) => void): void;
  terminate(): void;
}

/** Bytes of a stream that may be on their way to its worker before `update` holds back. */
const STREAM_WINDOW = 4 * 1024 * 1024;

/** Buffers that each worker's side keeps for the next message, and the least size of one. */
const KEPT_BUFFERS = 8;
const MIN_BUFFER = 64 * 1024;

/** Hashes in workers: each batch, and each stream, goes to the worker that has the least to do. */
export class HashPool implements HashEngine {
  #members: PoolMember[];
  #spawn: () => HashWorker;
  #closed = false;

  /** @param spawn starts a worker; called again in the place of one that died */
  constructor(size: number, spawn: () => HashWorker) {
    this.#spawn = spawn;
    this.#members = Array.from({ length: size }, () => new PoolMember(spawn()));
  }

  async blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    if (blobs.length === 0) return [];
    const lengths = blobs.map((blob) => blob.length);
    const size = lengths.reduce((sum, length) => sum + length, 0);
    const member = this.#least();
    const buffer = member.takeBuffer(size);
    const bytes = new Uint8Array(buffer);
    let offset = 0;
    for (const blob of blobs) {
      bytes.set(blob, offset);
      offset += blob.length;
    }
    const reply = await member.call({ kind: "many", buffer, lengths: Uint32Array.from(lengths) }, [buffer], size);
    return blobs.map((_, i) => reply.subarray(32 * i, 32 * (i + 1)));
  }

  async stream(algorithm: HashAlgorithm): Promise<HashStream> {
    const member = this.#least();
    const stream = member.nextStream();
    await member.call({ kind: "open", stream, algorithm });
    const pending: Promise<Uint8Array>[] = [];
    let window = 0;
    return {
      async update(bytes) {
        const { length } = bytes;
        const buffer = member.takeBuffer(length);
        new Uint8Array(buffer).set(bytes);
        window += length;
        const sent = member.call({ kind: "update", stream, buffer, length }, [buffer], length).finally(() => {
          window -= length;
        });
        sent.catch(() => {});
        pending.push(sent);
        // The copy is made, so the caller goes on until the window is full. A failure shows at the latest in `digest`.
        while (window > STREAM_WINDOW) await pending.shift();
      },
      async digest() {
        await Promise.all(pending);
        return member.call({ kind: "digest", stream });
      },
      abort() {
        member.call({ kind: "abort", stream }).catch(() => {});
      },
    };
  }

  close(): void {
    this.#closed = true;
    for (const member of this.#members) member.close();
  }

  #least(): PoolMember {
    if (this.#closed) throw new StoreError("closed", "the hash workers were ended");
    for (const [i, member] of this.#members.entries()) {
      if (member.lost) this.#members[i] = new PoolMember(this.#spawn());
    }
    return this.#members.reduce((least, member) => (member.load < least.load ? member : least));
  }
}

/** One worker and what it has been asked for. */
class PoolMember {
  #worker: HashWorker;
  #calls = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: StoreError) => void; weight: number }>();
  #buffers: ArrayBuffer[] = [];
  #nextCall = 0;
  #nextStream = 0;
  #error: StoreError | undefined;
  /** Bytes that wait to be hashed, with something for each call. */
  load = 0;

  constructor(worker: HashWorker) {
    this.#worker = worker;
    worker.listen(
      (reply) => {
        if (reply.buffer && this.#buffers.length < KEPT_BUFFERS) this.#buffers.push(reply.buffer);
        const call = this.#settle(reply.id);
        if (reply.kind === "done") call?.resolve(reply.bytes);
        else call?.reject(new StoreError("internal", `a hash worker failed: ${reply.message}`));
      },
      (error) => this.#lose(error),
    );
  }

  get lost(): boolean {
    return this.#error !== undefined;
  }

  nextStream(): number {
    return this.#nextStream++;
  }

  /** A buffer of at least `size` bytes to send: one that came back, if it fits. */
  takeBuffer(size: number): ArrayBuffer {
    const fitting = this.#buffers.findIndex((buffer) => buffer.byteLength >= size);
    const [buffer] = fitting === -1 ? [] : this.#buffers.splice(fitting, 1);
    if (buffer) return buffer;
    // A smaller one makes room, or small ones would fill the list for good.
    this.#buffers.shift();
    return new ArrayBuffer(2 ** Math.ceil(Math.log2(Math.max(size, MIN_BUFFER))));
  }

  call(request: HashRequestBody, transfer: ArrayBuffer[] = [], weight = 0): Promise<Uint8Array> {
    if (this.#error) return Promise.reject(this.#error);
    const id = this.#nextCall++;
    this.load += weight + 1;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, weight });
      this.#worker.postMessage({ ...request, id }, transfer);
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

  #settle(id: number): { resolve: (bytes: Uint8Array) => void; reject: (error: StoreError) => void } | undefined {
    const call = this.#calls.get(id);
    if (call) this.load -= call.weight + 1;
    this.#calls.delete(id);
    return call;
  }
}

type HashRequestBody = HashRequest extends infer Request ? (Request extends HashRequest ? Omit<Request, "id"> : never) : never;
