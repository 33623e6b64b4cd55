import { MemoryBudget } from "../memory-budget.ts";

/** Default limit for the memory of all decoders except brotli, in bytes. */
export const DEFAULT_DECODER_MEMORY: number = 512 * 1024 * 1024;
/**
 * Memory of the largest decoder, in bytes: zstd with a window of 128 MiB. The limit must not be
 * lower: a decoder that needs more than the limit would wait forever.
 */
export const LEAST_DECODER_MEMORY: number = 160 * 1024 * 1024;

/** Memory of decoders that use arrays, which the engine can free. */
export const arrayMemory = new MemoryBudget(DEFAULT_DECODER_MEMORY);
