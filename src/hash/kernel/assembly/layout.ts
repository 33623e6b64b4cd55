import { IV } from "./constants";

/** Vectors of the four lanes: see `lanesRun`. 224 bytes. */
export const LANES: usize = 1024;
/** Four blocks, to complete last ones with zeros. */
export const PADS: usize = 1280;
/** Four chunks to hash in lanes: CHUNK_SIZE bytes each, and one more to sort. */
export const TAIL: usize = 1536;
/** Where lanes write that nobody waits for. */
export const NOWHERE: usize = 1664;
/** Chaining values of up to 64 chunks. */
export const TREE: usize = 2048;
// From 4096: constants; from 6144: gear table; from 16384: the caller's.

export const CHUNK_START: u32 = 1;
export const CHUNK_END: u32 = 2;
export const PARENT: u32 = 4;
export const ROOT: u32 = 8;

/** The key of what is being hashed, and the flags that all its blocks have. */
export let key: usize = IV;
export let mode: u32 = 0;

export function useKey(at: usize, flags: u32): void {
  key = at;
  mode = flags;
}
