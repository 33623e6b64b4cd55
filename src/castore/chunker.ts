import { kernel } from "../hash/blake3.ts";

/**
 * Cutting by FastCDC in its 2020 variant, two bytes per step (Xia et al., "The Design of Fast
 * Content-Defined Chunking for Data Deduplication Based Storage Systems"). The parameters are those
 * of tvix and snix, so all three cut the same bytes at the same places. The kernel does the work
 * and holds the parameters.
 */

/**
 * Length of the first chunk of the bytes from `start` to `end`. The result is final only if these
 * are at least `MAX_CHUNK_SIZE` bytes, or if the content ends at `end`.
 */
export function cut(bytes: Uint8Array, start: number, end: number): number {
  return kernel.cut(bytes, start, end);
}

/** Cuts content that is complete in memory. The chunks are views of `bytes`. */
export function cutAll(bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let start = 0;
  for (const length of kernel.cutAll(bytes)) {
    chunks.push(bytes.subarray(start, start + length));
    start += length;
  }
  return chunks;
}
