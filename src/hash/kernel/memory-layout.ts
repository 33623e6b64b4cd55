import { DIGEST_SIZE } from "./sizes.ts";

// Addresses and sizes in the module's memory, in bytes. First come the kernel's own 16 KiB, then
// results and tables, then the arena, into which input is copied. The slots for streams come last,
// because their number grows.
export const OUT = 16384;
export const KEY = OUT + 64;
export const PAIR = OUT + 128;
export const CUTTER = OUT + 192;
export const NODES = 20480;
/**
 * Input bytes after which nodes are taken. The space between NODES and RESULTS holds the nodes of
 * these bytes, and up to 62 nodes of larger subtrees that end with these bytes.
 */
export const NODES_BYTES = 2 * 1024 * 1024;
export const RESULTS = 32768;
export const ARENA = 65536;
/**
 * Input bytes that are copied and hashed at once, so that they are still in the CPU cache when they
 * are read.
 */
export const PIECE = 64 * 1024;
export const PASS_PIECE = 128 * 1024;
/**
 * Input bytes that are copied at once if they are only cut, so that they fit into the smallest CPU
 * cache.
 */
export const CUT_PIECE = 32 * 1024;
/** Address of a pass's input. The kernel overwrites the byte before it. */
export const PASS_ARENA = ARENA + 64;

export const BATCH_BYTES = 256 * 1024;
export const BATCH_COUNT = 1024;
export const TABLE = ARENA + BATCH_BYTES + 16 * BATCH_COUNT;
export const DIGESTS = TABLE + 8 * BATCH_COUNT;
export const WORK = DIGESTS + DIGEST_SIZE * BATCH_COUNT;

/** Maximum size in bytes of a blob in a batch. A larger blob is hashed by itself. */
export const BATCH_BLOB = 64 * 1024;
export const SLOTS = 1024 * 1024;
export const PAGE = 65536;
