import { kernel } from "./blake3.ts";
import { createSyncHashStream, type HashAlgorithm, type SyncHashStream } from "./hash-stream.ts";

/** What a pool asks of a worker. Buffers are transferred, and come back with the reply: a worker that kept them would pile them up. */
export type HashRequest =
  /** In `buffer` are blobs one after the other; answered by their BLAKE3 digests one after the other. */
  | { id: number; kind: "many"; buffer: ArrayBuffer; lengths: Uint32Array }
  | { id: number; kind: "open"; stream: number; algorithm: HashAlgorithm }
  | { id: number; kind: "update"; stream: number; buffer: ArrayBuffer; length: number }
  | { id: number; kind: "digest"; stream: number }
  | { id: number; kind: "abort"; stream: number };

export type HashReply = { id: number; buffer: ArrayBuffer | undefined } & (
  | { kind: "done"; bytes: Uint8Array }
  | { kind: "failed"; message: string }
);

const NOTHING = new Uint8Array(0);

/** The worker's side: answers requests in the order in which they come. */
export class HashServer {
  #streams = new Map<number, SyncHashStream>();

  /** Never rejects. */
  async answer(request: HashRequest): Promise<HashReply> {
    const { id } = request;
    const buffer = "buffer" in request ? request.buffer : undefined;
    try {
      return { id, buffer, kind: "done", bytes: await this.#answer(request) };
    } catch (error) {
      return { id, buffer, kind: "failed", message: error instanceof Error ? error.message : String(error) };
    }
  }

  async #answer(request: HashRequest): Promise<Uint8Array> {
    if (request.kind === "many") return hashMany(new Uint8Array(request.buffer), request.lengths);
    if (request.kind === "open") {
      this.#streams.set(request.stream, await createSyncHashStream(request.algorithm));
      return NOTHING;
    }
    const stream = this.#streams.get(request.stream);
    if (!stream) {
      // An abort may come after the digest was taken.
      if (request.kind === "abort") return NOTHING;
      throw new TypeError("there is no such hash stream");
    }
    if (request.kind === "update") {
      stream.update(new Uint8Array(request.buffer, 0, request.length));
      return NOTHING;
    }
    this.#streams.delete(request.stream);
    if (request.kind === "digest") return stream.digest();
    stream.abort();
    return NOTHING;
  }
}

function hashMany(bytes: Uint8Array, lengths: Uint32Array): Uint8Array {
  const blobs: Uint8Array[] = [];
  let offset = 0;
  for (const length of lengths) {
    blobs.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  return kernel.blake3Joined(blobs);
}
