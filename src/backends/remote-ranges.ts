import type { ByteRange } from "../byte-range.ts";
import type { ChunkMeta } from "../castore/blob-service.ts";
import { coveringChunks, sizeOfChunks } from "../castore/chunk-list.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { isStoreError, StoreError } from "../error.ts";
import { checkOutboard } from "../hash/outboard.ts";
import { SliceDecoder } from "../hash/slice-decoder.ts";
import { VerifiedRange } from "../hash/verified-range.ts";
import { isUnimplemented } from "../wire/status.ts";
import type { RemoteConnection } from "./remote-connection.ts";

/**
 * Reads parts of remote blobs, and fetches only the data needed to verify them against the blob's
 * digest. It reads a slice if the remote has this project's extension. Otherwise it reads the
 * chunks that cover the range, if the remote tells the blob's outboard.
 */
export class RemoteRanges {
  #connection: RemoteConnection;
  #read: (digest: Digest, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  /** Whether the remote supports slices; `undefined` before the first call. */
  #hasSlices: boolean | undefined;

  /** @param read reads the content of a blob or chunk, as it arrives */
  constructor(connection: RemoteConnection, read: (digest: Digest, signal: AbortSignal) => AsyncIterable<Uint8Array>) {
    this.#connection = connection;
    this.#read = read;
  }

  /**
   * Streams the bytes of `range`, each verified before it is handed out. Returns `undefined` if the
   * remote offers nothing to verify a part of the blob with.
   *
   * @throws StoreError `not-found` if the blob is missing, `corrupt` if its data doesn't match the
   *   digest
   */
  async open(digest: Digest, range: ByteRange, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array> | undefined> {
    if (this.#hasSlices !== false) {
      const slice = this.#slice(digest, range, signal);
      try {
        const first = await slice.next();
        this.#hasSlices = true;
        return continued(first, slice);
      } catch (error) {
        if (!isStoreError(error) || !isUnimplemented(error.cause)) throw error;
        this.#hasSlices = false;
      }
    }
    return this.#chunks(digest, range, signal);
  }

  async *#slice(digest: Digest, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const what = `reading a slice of blob ${formatDigest(digest)}`;
    const decoder = new SliceDecoder(digest, range);
    try {
      const pieces = this.#connection.streamBytes(what, signal, (client, signal) => client.readSlice(digest, range, signal));
      for await (const piece of pieces) yield* decoder.push(piece);
      decoder.finish();
    } catch (error) {
      // The arguments were valid, so the remote is at fault.
      if (!isStoreError(error, "invalid")) throw error;
      throw new StoreError("corrupt", `${what}, ${this.#connection.name} sent an invalid slice: ${error.message}`, {
        cause: error,
      });
    }
  }

  async #chunks(digest: Digest, range: ByteRange, signal: AbortSignal): Promise<AsyncGenerator<Uint8Array> | undefined> {
    const what = `asking for blob ${formatDigest(digest)}`;
    const { chunks, outboard } = await this.#connection.call(what, signal, (client, signal) =>
      client.statBlob(digest, true, signal),
    );
    if (!outboard) return undefined;
    checkOutboard(outboard, digest);
    // The blob is a single chunk, or the remote doesn't cut it.
    const list = chunks.length > 0 ? chunks : [{ digest, size: outboard.size }];
    const size = sizeOfChunks(list);
    if (size !== outboard.size) {
      throw new StoreError(
        "corrupt",
        `the chunks that ${this.#connection.name} lists for blob ${formatDigest(digest)} have ${size} bytes instead of ${outboard.size}`,
      );
    }
    return this.#covering(list, new VerifiedRange(outboard, digest, range), signal);
  }

  async *#covering(list: readonly ChunkMeta[], range: VerifiedRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (const { chunk, start } of coveringChunks(list, range.start, range.end)) yield* this.#part(chunk, start, range, signal);
    range.finish();
  }

  /** Yields the part of `range` that lies in the chunk at offset `start`. */
  async *#part(chunk: ChunkMeta, start: number, range: VerifiedRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const end = start + chunk.size;
    let position = start;
    try {
      for await (const piece of this.#read(chunk.digest, signal)) {
        if (position + piece.length > end) throw this.#wrongLength(chunk);
        const from = Math.max(range.start - position, 0);
        const to = Math.min(range.end - position, piece.length);
        if (from < to) yield* range.push(piece.subarray(from, to));
        position += piece.length;
        // The rest is outside the range, and it may be long: the chunk may be the whole blob.
        if (position >= range.end && position < end) return;
      }
    } catch (error) {
      if (!isStoreError(error, "not-found")) throw error;
      throw new StoreError("corrupt", `${this.#connection.name} lists a chunk that it doesn't have: ${formatDigest(chunk.digest)}`);
    }
    if (position !== end) throw this.#wrongLength(chunk);
  }

  #wrongLength({ digest, size }: ChunkMeta): StoreError {
    return new StoreError(
      "corrupt",
      `chunk ${formatDigest(digest)} from ${this.#connection.name} doesn't have the listed length of ${size} bytes`,
    );
  }
}

async function* continued(first: IteratorResult<Uint8Array>, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (!first.done) {
      yield first.value;
      yield* rest;
    }
  } finally {
    await rest.return(undefined);
  }
}
