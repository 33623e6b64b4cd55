import { IV } from "./constants";

/** Vectors of the four lanes (see `lanesRun`): 224 bytes. */
export const LANES: usize = 1024;
/** Four blocks, into which incomplete last blocks are copied and filled with zeros. */
export const PADS: usize = 1280;
/** Four waiting chunks of CHUNK_SIZE bytes each, and room for one more. */
export const TAIL: usize = 1536;
/** Output address of lanes whose result is not needed. */
export const NOWHERE: usize = 1664;
/** Chaining values of up to 64 chunks. */
export const TREE: usize = 2048;
// From 4096: constants. From 6144: the gear table. From 16384: memory of the caller.

export const CHUNK_START: u32 = 1;
export const CHUNK_END: u32 = 2;
export const PARENT: u32 = 4;
export const ROOT: u32 = 8;

/** Address of the current key, and flags that all its blocks have. */
export let key: usize = IV;
export let mode: u32 = 0;

export function useKey(at: usize, flags: u32): void {
  key = at;
  mode = flags;
}
