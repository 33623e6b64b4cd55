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

/** Bytes of a stream's buffers, full or not, that may be on their way to its worker before `update` holds back. */
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
    return new PooledStream(member, stream);
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

/** A stream whose hash is taken by one worker. Short pieces are gathered, because each message takes a buffer and a turn of its own. */
class PooledStream implements HashStream {
  #member: PoolMember;
  #stream: number;
  #gathered: { buffer: ArrayBuffer; length: number } | undefined;
  /** In the order in which they were sent, for as long as they are on their way. */
  #sent = new Set<Promise<unknown>>();
  #window = 0;
  #failure: { error: unknown } | undefined;

  constructor(member: PoolMember, stream: number) {
    this.#member = member;
    this.#stream = stream;
  }

  async update(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const { length } = bytes;
    if (this.#gathered && this.#gathered.length + length > this.#gathered.buffer.byteLength) this.#send();
    this.#gathered ??= { buffer: this.#member.takeBuffer(length), length: 0 };
    new Uint8Array(this.#gathered.buffer).set(bytes, this.#gathered.length);
    this.#gathered.length += length;
    // The buffer may be a long one that was used before.
    if (this.#gathered.length >= MIN_BUFFER) this.#send();
    // The copy is made, so the caller goes on until the window is full. A failure shows at the latest in `digest`.
    while (this.#window > STREAM_WINDOW) await this.#sent.values().next().value;
  }

  async digest(): Promise<Uint8Array> {
    this.#send();
    const digest = this.#member.call({ kind: "digest", stream: this.#stream });
    await Promise.all([...this.#sent, digest]);
    // A digest that lacks a piece is as good as any other to the worker.
    if (this.#failure) throw this.#failure.error;
    return digest;
  }

  abort(): void {
    this.#gathered = undefined;
    this.#member.call({ kind: "abort", stream: this.#stream }).catch(() => {});
  }

  #send(): void {
    if (!this.#gathered) return;
    const { buffer, length } = this.#gathered;
    this.#gathered = undefined;
    const { byteLength } = buffer;
    this.#window += byteLength;
    const sent = this.#member
      .call({ kind: "update", stream: this.#stream, buffer, length }, [buffer], length)
      .catch((error) => {
        this.#failure ??= { error };
        throw error;
      })
      .finally(() => {
        this.#window -= byteLength;
        this.#sent.delete(sent);
      });
    sent.catch(() => {});
    this.#sent.add(sent);
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
