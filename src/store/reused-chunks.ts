import type { BlobService, ChunkMeta } from "../castore/blob-service.ts";
import { SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { sizeOfChunks } from "../castore/chunk-list.ts";
import { formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import { iterate } from "../stream.ts";

/** Chunks that are read at a time: 2 MiB at most of those that every store of this kind cuts. */
const BATCH = 4;
/** Chunks that are asked for at a time. */
const STAT_BATCH = 1024;

type Blob = Pick<FileNode, "digest" | "size">;

/** A blob to be copied, of which the target may have a part. */
export interface PartlyPresentBlob {
  readonly content: AsyncIterable<Uint8Array>;
  /** Bytes that the target gave so far. */
  readonly reused: () => number;
}

/**
 * A blob of `from` that `to` has not, as it is to be written there: chunks that `to` has are read there, and only the others at `from`.
 * Where `from` tells no chunks, all of it is read there. Chunks are as their digests say; that they make up the blob is for the caller to
 * check.
 *
 * @returns `undefined` if `from` hasn't it
 */
export async function openReusingChunks(
  from: BlobService,
  to: BlobService,
  { digest, size }: Blob,
  signal: AbortSignal,
): Promise<PartlyPresentBlob | undefined> {
  const found = await findChunks(from, to, { digest, size }, signal);
  if (!found) return undefined;
  const { chunks, present } = found;
  if (!present.includes(true)) {
    const stream = await from.open(digest, { signal });
    return stream && { content: iterate(stream, signal), reused: () => 0 };
  }
  let reused = 0;
  const content = async function* (): AsyncGenerator<Uint8Array> {
    let position = 0;
    for (let next = 0; next < chunks.length; ) {
      const isPresent = present[next] === true;
      let end = next + 1;
      while (end < next + BATCH && end < chunks.length && present[end] === isPresent) end++;
      const batch = chunks.slice(next, end);
      const source = isPresent ? to : from;
      const read = await source.readMany(
        batch.map((chunk) => chunk.digest),
        { signal },
      );
      for (const [i, chunk] of batch.entries()) {
        const bytes = read[i];
        if (!bytes) {
          // It is gone from the target, or the source keeps to itself what it listed.
          const rest = await from.open(digest, { offset: position, signal });
          if (!rest)
            throw new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the store that it is copied from`);
          yield* iterate(rest, signal);
          return;
        }
        if (bytes.length !== chunk.size)
          throw new StoreError(
            "corrupt",
            `chunk ${formatDigest(chunk.digest)} has ${bytes.length} bytes, not the ${chunk.size} listed`,
          );
        position += bytes.length;
        if (isPresent) reused += bytes.length;
        yield bytes;
      }
      next = end;
    }
  };
  return { content: content(), reused: () => reused };
}

/** How many bytes of a blob `openReusingChunks` would read at `from`: all, if it isn't there either. */
export async function missingBytes(
  from: BlobService,
  to: BlobService,
  blob: Blob,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { chunks = [], present = [] } = (await findChunks(from, to, blob, signal)) ?? {};
  return Number(blob.size) - sizeOfChunks(chunks.filter((_, i) => present[i]));
}

/** The chunks that `from` lists, and which of them `to` has; none if the list is of no use. `undefined` if `from` hasn't the blob. */
async function findChunks(
  from: BlobService,
  to: BlobService,
  { digest, size }: Blob,
  signal: AbortSignal | undefined,
): Promise<{ chunks: readonly ChunkMeta[]; present: readonly boolean[] } | undefined> {
  const [stat] = await from.stat([digest], { signal });
  if (!stat) return undefined;
  const { chunks } = stat;
  const isUsable = BigInt(sizeOfChunks(chunks)) === size && chunks.every((chunk) => chunk.size <= SMALL_BLOB_LIMIT);
  return isUsable ? { chunks, present: await presentChunks(to, chunks, signal) } : { chunks: [], present: [] };
}

async function presentChunks(to: BlobService, chunks: readonly ChunkMeta[], signal: AbortSignal | undefined): Promise<boolean[]> {
  const present: boolean[] = [];
  for (let i = 0; i < chunks.length; i += STAT_BATCH) {
    const some = chunks.slice(i, i + STAT_BATCH).map((chunk) => chunk.digest);
    for (const stat of await to.stat(some, { signal })) present.push(stat !== undefined);
  }
  return present;
}
