import type { ByteRange } from "../byte-range.ts";
import { concatBytes, EMPTY_BYTES, equalBytes } from "../bytes.ts";
import {
  type BlobService,
  type BlobStat,
  type BlobWriter,
  type CreateBlobOptions,
  type PutManyOptions,
  type ReadBlobOptions,
  type ReadManyOptions,
  SMALL_BLOB_LIMIT,
  type StatBlobOptions,
} from "../castore/blob-service.ts";
import { asDigest, type Digest, digestKey, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import { checkExpected } from "../castore/expected-digest.ts";
import { isStoreError, StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { checkedRange } from "../hash/group-tree.ts";
import { type Outboard, outboardOf } from "../hash/outboard.ts";
import { onAbort } from "../on-abort.ts";
import { TaskPool } from "../task-pool.ts";
import { cutBlobPieces } from "../wire/blob-message.ts";
import { RemoteBlobWriter } from "./remote-blob-writer.ts";
import { REMOTE_CONCURRENCY, type RemoteConnection } from "./remote-connection.ts";
import { RemoteRanges } from "./remote-ranges.ts";

const EMPTY_OUTBOARD: Outboard = outboardOf(EMPTY_BYTES).outboard;

/**
 * Blobs of a remote. All data is verified, ranges too. If the remote offers nothing to verify a
 * range with, the whole blob is read.
 */
export class RemoteBlobService implements BlobService {
  #connection: RemoteConnection;
  #engine: HashEngine;
  #ranges: RemoteRanges;

  constructor(connection: RemoteConnection, engine: HashEngine) {
    this.#connection = connection;
    this.#engine = engine;
    this.#ranges = new RemoteRanges(connection, (digest, signal) => this.#pieces(digest, signal));
  }

  stat(digests: readonly Digest[], options: StatBlobOptions = {}): Promise<(BlobStat | undefined)[]> {
    const { signal, outboard = false } = options;
    return forEach(digests, signal, async (digest) => {
      // snix lacks the empty blob until somebody puts it.
      if (equalBytes(digest, EMPTY_DIGEST)) return { chunks: [], outboard: outboard ? EMPTY_OUTBOARD : undefined };
      const stat = this.#connection.call(`asking for blob ${formatDigest(digest)}`, signal, (client, signal) =>
        client.statBlob(digest, outboard, signal),
      );
      return stat.catch(undefinedIfMissing);
    });
  }

  async open(digest: Digest, options: ReadBlobOptions = {}): Promise<ReadableStream<Uint8Array> | undefined> {
    const { signal, offset = 0, length = Number.POSITIVE_INFINITY } = options;
    signal?.throwIfAborted();
    checkedRange({ offset, length });
    const stop = new AbortController();
    let content: AsyncGenerator<Uint8Array> | undefined;
    const unlink = onAbort(signal, () => {
      stop.abort(signal?.reason);
      // Nobody may read any more, so end the generator.
      content?.return(undefined).catch(() => {});
    });

    // The first piece tells whether the blob exists.
    let first: IteratorResult<Uint8Array>;
    try {
      content = await this.#content(digest, { offset, length }, options.unverified, stop.signal);
      first = await content.next();
    } catch (error) {
      unlink();
      return undefinedIfMissing(error);
    }
    let next: IteratorResult<Uint8Array> | undefined = first;
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            signal?.throwIfAborted();
            const { done, value } = next ?? (await content.next());
            // After an abort the generator ends as if the content were complete.
            signal?.throwIfAborted();
            next = undefined;
            if (!done) return controller.enqueue(value);
            unlink();
            controller.close();
          } catch (error) {
            unlink();
            controller.error(error);
          }
        },
        async cancel(reason) {
          unlink();
          // Abort first: `return` waits for the generator's pending read.
          stop.abort(reason);
          await content.return(undefined).catch(() => {});
        },
      },
      { highWaterMark: 0 },
    );
  }

  readMany(digests: readonly Digest[], options: ReadManyOptions = {}): Promise<(Uint8Array | undefined)[]> {
    return forEach(digests, options.signal, async (digest) => {
      try {
        return await this.#readSmall(digest, options);
      } catch (error) {
        return undefinedIfMissing(error);
      }
    });
  }

  async create(options: CreateBlobOptions = {}): Promise<BlobWriter> {
    options.signal?.throwIfAborted();
    const hash = await this.#engine.stream("blake3");
    if (options.signal?.aborted) {
      hash.abort();
      throw options.signal.reason;
    }
    return new RemoteBlobWriter(this.#connection, hash, options);
  }

  async putMany(blobs: readonly Uint8Array[], options: PutManyOptions = {}): Promise<Digest[]> {
    options.signal?.throwIfAborted();
    const digests = (await this.#engine.blake3Many(blobs)).map((digest) => asDigest(digest));
    for (const [i, digest] of digests.entries()) checkExpected(digest, options.expected?.[i]);
    // Put each distinct blob once. This includes the empty blob, which stock snix lacks until
    // somebody puts it.
    const distinct = new Map(digests.map((digest, i) => [digestKey(digest), { digest, bytes: blobs[i] ?? EMPTY_BYTES }]));
    await forEach([...distinct.values()], options.signal, async ({ digest, bytes }) => {
      const what = `writing blob ${formatDigest(digest)}`;
      const answered = await this.#connection.call(what, options.signal, (client, signal) => client.putBlob(pieces(bytes), signal));
      if (!equalBytes(answered, digest)) {
        throw new StoreError("corrupt", `${what}, ${this.#connection.name} answered the digest ${formatDigest(answered)}`);
      }
    });
    return digests;
  }

  async #content(
    digest: Digest,
    range: ByteRange,
    unverified: boolean | undefined,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<Uint8Array>> {
    const isPart = range.offset > 0 || range.length < Number.POSITIVE_INFINITY;
    if (unverified && !isPart && !equalBytes(digest, EMPTY_DIGEST)) return this.#pieces(digest, signal);
    const part = isPart && !equalBytes(digest, EMPTY_DIGEST) ? await this.#ranges.open(digest, range, signal) : undefined;
    return part ?? this.#verified(digest, signal, range.offset, range.offset + range.length);
  }

  async #readSmall(digest: Digest, { unverified, signal }: ReadManyOptions): Promise<Uint8Array> {
    if (equalBytes(digest, EMPTY_DIGEST)) return EMPTY_BYTES;
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of this.#pieces(digest, signal)) {
      size += part.length;
      if (size > SMALL_BLOB_LIMIT) {
        throw new StoreError(
          "corrupt",
          `blob ${formatDigest(digest)} from ${this.#connection.name} is longer than a small blob may be`,
        );
      }
      parts.push(part);
    }
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(parts);
    if (unverified) return bytes;
    const [actual] = await this.#engine.blake3Many([bytes]);
    this.#check(digest, actual as Uint8Array);
    return bytes;
  }

  /**
   * Yields the bytes from `start` to `end`. It holds back the last piece until the whole blob has
   * arrived and matches the digest.
   */
  async *#verified(digest: Digest, signal: AbortSignal, start: number, end: number): AsyncGenerator<Uint8Array> {
    if (equalBytes(digest, EMPTY_DIGEST)) return;
    const hash = await this.#engine.stream("blake3");
    let ended = false;
    try {
      let held: Uint8Array | undefined;
      let position = 0;
      for await (const piece of this.#pieces(digest, signal)) {
        await hash.update(piece);
        const wanted = piece.subarray(clamp(start - position, piece.length), clamp(end - position, piece.length));
        position += piece.length;
        if (wanted.length === 0) continue;
        if (held) yield held;
        held = wanted;
      }
      ended = true;
      this.#check(digest, await hash.digest());
      if (held) yield held;
    } finally {
      if (!ended) hash.abort();
    }
  }

  #pieces(digest: Digest, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const what = `reading blob ${formatDigest(digest)}`;
    return this.#connection.streamBytes(what, signal, (client, signal) => client.readBlob(digest, signal));
  }

  #check(digest: Digest, actual: Uint8Array): void {
    if (equalBytes(digest, actual)) return;
    throw new StoreError(
      "corrupt",
      `blob ${formatDigest(digest)} from ${this.#connection.name} has the digest ${formatDigest(actual)}`,
    );
  }
}

function clamp(value: number, max: number): number {
  return Math.min(Math.max(value, 0), max);
}

/**
 * Cuts a blob into messages. An empty blob gives one empty message, because some servers end a call
 * without messages.
 */
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length === 0) yield bytes;
  yield* cutBlobPieces(bytes);
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isStoreError(error, "not-found")) throw error;
}

/** Runs calls for all `items`, with limited concurrency. Results are in the order of `items`. */
async function forEach<T, U>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  run: (item: T, i: number) => Promise<U>,
): Promise<U[]> {
  signal?.throwIfAborted();
  const results = new Array<U>(items.length);
  const pool = new TaskPool(REMOTE_CONCURRENCY);
  for (const [i, item] of items.entries()) {
    await pool.run(async () => {
      results[i] = await run(item, i);
    });
  }
  await pool.finish();
  return results;
}
