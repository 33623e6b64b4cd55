/** Bytes of a BLAKE3 digest. */
export const DIGEST_SIZE = 32;
/** Bytes of a chunk, the leaf of BLAKE3's tree. */
export const CHUNK_SIZE = 1024;
/** Bytes of a node: the values of its left and its right subtree. */
export const NODE_SIZE: number = 2 * DIGEST_SIZE;
/** Bytes of a group, the leaf of the outboard's tree. */
export const GROUP_SIZE = 16 * 1024;

/**
 * Limits in bytes for the chunks that FastCDC cuts; only the last chunk of a blob may be shorter.
 * These are the parameters of tvix and snix. The average is 256 KiB.
 */
export const MIN_CHUNK_SIZE: number = 128 * 1024;
export const MAX_CHUNK_SIZE: number = 512 * 1024;
