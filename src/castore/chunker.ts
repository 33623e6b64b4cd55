import { kernel } from "../hash/blake3.ts";

/**
 * FastCDC in its 2020 variant (Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
 * Systems"; two bytes a step), with the parameters of tvix and snix: the same bytes are cut at the same places everywhere. The work,
 * and the parameters, are the kernel's.
 */

/**
 * Length of the first chunk of `bytes` from `start` to `end`. The answer is final only if at least `MAX_CHUNK_SIZE` bytes are there,
 * or the content ends at `end`.
 */
export function cut(bytes: Uint8Array, start: number, end: number): number {
  return kernel.cut(bytes, start, end);
}

/** Cuts content that is there as a whole. The chunks are views of `bytes`. */
export function cutAll(bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let start = 0;
  for (const length of kernel.cutAll(bytes)) {
    chunks.push(bytes.subarray(start, start + length));
    start += length;
  }
  return chunks;
}
