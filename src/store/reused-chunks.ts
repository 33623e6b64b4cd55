import type { BlobService, ChunkMeta } from "../castore/blob-service.ts";
import { SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { sizeOfChunks } from "../castore/chunk-list.ts";
import { formatDigest } from "../castore/digest.ts";
import type { FileNode } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import { iterate } from "../stream.ts";

/** Chunks read at a time. Our stores cut chunks of at most 512 KiB, so these are at most 2 MiB. */
const BATCH = 4;
/** Chunks looked up at a time. */
const STAT_BATCH = 1024;

type Blob = Pick<FileNode, "digest" | "size">;

/** A blob to copy, of which the target may already have some chunks. */
export interface PartlyPresentBlob {
  readonly content: AsyncIterable<Uint8Array>;
  /** Bytes read at the target so far. */
  readonly reused: () => number;
}

/**
 * Opens a blob of `from` that `to` lacks, for writing it to `to`. It reads from `to` the chunks
 * that `to` has, and only the others from `from`. If `from` lists no chunks, it reads the whole
 * blob from `from`. The content is unverified: the caller must check it against the blob's digest.
 *
 * @returns `undefined` if `from` does not have the blob
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
    const stream = await from.open(digest, { unverified: true, signal });
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
        // A damaged chunk at the target must not look like a fault of the source.
        { unverified: !isPresent, signal },
      );
      for (const [i, chunk] of batch.entries()) {
        const bytes = read[i];
        if (!bytes) {
          // The target has deleted the chunk, or the source does not serve a chunk that it lists.
          const rest = await from.open(digest, { offset: position, signal });
          if (!rest) throw new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the source store`);
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

/**
 * Returns how many bytes of a blob `openReusingChunks` would read from `from`; the whole size if
 * `from` does not have the blob either.
 */
export async function missingBytes(
  from: BlobService,
  to: BlobService,
  blob: Blob,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { chunks = [], present = [] } = (await findChunks(from, to, blob, signal)) ?? {};
  return Number(blob.size) - sizeOfChunks(chunks.filter((_, i) => present[i]));
}

/**
 * Returns the chunks that `from` lists, and for each one whether `to` has it; no chunks if the list
 * is unusable. Returns `undefined` if `from` does not have the blob.
 */
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
