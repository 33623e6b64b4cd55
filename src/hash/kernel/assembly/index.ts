import { ROOT } from "./layout";
import { parentOne, tree } from "./tree";

export { cut_next, cut_open } from "./cut";
export { hash_many } from "./many";
export { pass_open, pass_size, pass_update } from "./pass";
export { nodes, stream_copy, stream_end, stream_open, stream_size, stream_update } from "./stream";

/**
 * Hashes at most 64 KiB. Writes the digest if `root` is not 0. Otherwise it writes the chaining
 * value of a subtree whose first chunk has the index `counter`.
 */
export function hash(p: usize, length: u32, counter: u64, root: u32, out: usize): void {
  tree(p, length, counter, root ? ROOT : 0, out);
}

/** Writes the parent of the two chaining values at `p`. */
export function parent(p: usize, root: u32, out: usize): void {
  parentOne(p, root ? ROOT : 0, out);
}
