import type { HashAlgorithm } from "../hash-algorithm.ts";
import { kernel } from "./blake3.ts";
import { SyncBlobCutter } from "./blob-cutter.ts";
import type { CutBlob, CutChunk } from "./engine.ts";
import { createLocalHashStream, type LocalHashStream } from "./hash-stream.ts";

/**
 * A request of the pool to a worker. Buffers are transferred and come back with the reply;
 * otherwise they would pile up in the worker.
 */
export type HashRequest = { id: number } & (
  | { kind: "many"; buffer: ArrayBuffer; lengths: Uint32Array }
  /**
   * `chunk` is the index of the first BLAKE3 chunk. `root` is true if the bytes are the whole
   * input.
   */
  | { kind: "subtree"; buffer: ArrayBuffer; length: number; chunk: number; root: boolean }
  | { kind: "open"; stream: number; algorithm: HashAlgorithm; size: number | undefined }
  | { kind: "update"; stream: number; buffer: ArrayBuffer; length: number }
  | { kind: "digest"; stream: number }
  | { kind: "openCutter"; stream: number }
  | { kind: "cut"; stream: number; buffer: ArrayBuffer; length: number }
  | { kind: "endCutter"; stream: number }
  | { kind: "abort"; stream: number }
);

/** Results of the requests, by kind. */
export interface HashResults {
  /** Digests of 32 bytes, one after another. */
  many: Uint8Array;
  /** A chaining value, or the digest if `root` was true. */
  subtree: Uint8Array;
  open: undefined;
  update: undefined;
  digest: Uint8Array;
  openCutter: undefined;
  cut: readonly CutChunk[];
  endCutter: CutBlob;
  abort: undefined;
}

export type HashReply = { id: number; buffer: ArrayBuffer | undefined } & (
  | { kind: "done"; result: HashResults[keyof HashResults] }
  | { kind: "failed"; message: string }
);

/** The worker's side. It answers requests in the order in which they arrive. */
export class HashServer {
  #streams = new Map<number, LocalHashStream>();
  #cutters = new Map<number, SyncBlobCutter>();

  /** Answers a request. Never rejects. */
  async answer(request: HashRequest): Promise<HashReply> {
    const { id } = request;
    const buffer = "buffer" in request ? request.buffer : undefined;
    try {
      return { id, buffer, kind: "done", result: await this.#answer(request) };
    } catch (error) {
      return { id, buffer, kind: "failed", message: error instanceof Error ? error.message : String(error) };
    }
  }

  async #answer(request: HashRequest): Promise<HashResults[keyof HashResults]> {
    switch (request.kind) {
      case "many":
        return hashMany(new Uint8Array(request.buffer), request.lengths);
      case "subtree": {
        const bytes = new Uint8Array(request.buffer, 0, request.length);
        return request.root ? kernel.blake3(bytes) : kernel.subtree(bytes, request.chunk);
      }
      case "open":
        this.#streams.set(request.stream, await createLocalHashStream(request.algorithm, request));
        return undefined;
      case "update":
        find(this.#streams, request.stream).update(new Uint8Array(request.buffer, 0, request.length));
        return undefined;
      case "digest": {
        const stream = find(this.#streams, request.stream);
        this.#streams.delete(request.stream);
        return stream.digest();
      }
      case "openCutter":
        this.#cutters.set(request.stream, new SyncBlobCutter());
        return undefined;
      case "cut":
        return find(this.#cutters, request.stream).update(new Uint8Array(request.buffer, 0, request.length));
      case "endCutter": {
        const cutter = find(this.#cutters, request.stream);
        this.#cutters.delete(request.stream);
        return cutter.end();
      }
      case "abort":
        // The request may come after the end of the stream. There is nothing left to abort then.
        (this.#streams.get(request.stream) ?? this.#cutters.get(request.stream))?.abort();
        this.#streams.delete(request.stream);
        this.#cutters.delete(request.stream);
        return undefined;
    }
  }
}

function find<T>(streams: ReadonlyMap<number, T>, number: number): T {
  const stream = streams.get(number);
  if (!stream) throw new TypeError("there is no such hash stream");
  return stream;
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
