import type { ChunkMeta } from "./blob-service.ts";

/** Size in bytes of the blob that consists of `chunks`. */
export function sizeOfChunks(chunks: readonly ChunkMeta[]): number {
  return chunks.reduce((sum, { size }) => sum + size, 0);
}

/**
 * Yields the chunks that overlap the bytes `from` (inclusive) to `to` (exclusive) of the blob.
 * `start` is a chunk's offset in the blob.
 */
export function* coveringChunks(
  chunks: readonly ChunkMeta[],
  from: number,
  to: number,
): Generator<{ readonly chunk: ChunkMeta; readonly start: number }> {
  let start = 0;
  for (const chunk of chunks) {
    const end = start + chunk.size;
    if (end > from && start < to) yield { chunk, start };
    start = end;
  }
}
