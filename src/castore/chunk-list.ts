import type { ChunkMeta } from "./blob-service.ts";

/** Bytes of the blob that consists of `chunks`. */
export function sizeOfChunks(chunks: readonly ChunkMeta[]): number {
  return chunks.reduce((sum, { size }) => sum + size, 0);
}

/** Those of `chunks` that have bytes from `from` to before `to`, each with the offset at which it starts. */
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
