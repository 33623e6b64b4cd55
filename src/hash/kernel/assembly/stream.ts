import { IV } from "./constants";
import { ROOT, TREE, useKey } from "./layout";
import { halves, parentOne, tree } from "./tree";

// Layout of a stream:
//
// - 0: key
// - 32: u32, flags
// - 36: u32, bytes in the buffer
// - 40: u64, chunks compressed
// - 48: u64, index of its first chunk
// - 56: u32, values on the stack
// - 60: u32, whether nodes are written
// - 64: base-2 logarithms (u8) of the values' sizes in chunks
// - 128: the stack (62 values)
// - 2112: the buffer
const STACK: usize = 128;
const BUFFER: usize = 2112;
const BUFFERED: u32 = 4096;
export const STREAM_SIZE: usize = BUFFER + 4096;

/** Address at which the next node of an outboard is written. */
let node: usize = 0;

export function stream_size(): u32 {
  return STREAM_SIZE;
}

/**
 * Sets the address for the next nodes to `at`. Returns the address after the last node written
 * before.
 */
export function nodes(at: usize): usize {
  const end = node;
  node = at;
  return end;
}

/**
 * Opens a stream. `key` is the address of 32 bytes, or 0. `chunk` is the index of the first chunk,
 * for a subtree.
 */
export function stream_open(s: usize, key: usize, flags: u32, chunk: u64, outboard: u32): void {
  memory.copy(s, key ? key : IV, 32);
  store<u32>(s, flags, 32);
  store<u32>(s, 0, 36);
  store<u64>(s, 0, 40);
  store<u64>(s, chunk, 48);
  store<u32>(s, 0, 56);
  store<u32>(s, outboard, 60);
}

export function stream_copy(to: usize, from: usize): void {
  memory.copy(to, from, STREAM_SIZE);
}

/** Replaces the last two values by their parent. */
function merge(s: usize, root: u32): void {
  const count = load<u32>(s, 56) - 2;
  const left = s + STACK + (<usize>count << 5);
  const level = load<u8>(s + count, 64);
  if (load<u32>(s, 60) && level >= 4) {
    memory.copy(node, left, 64);
    node += 64;
  }
  parentOne(left, root, left);
  store<u8>(s + count, level + 1, 64);
  store<u32>(s, count + 1, 56);
}

/** Merges the values that can't be children of the root, because more content follows. */
function settle(s: usize): void {
  const least = <u32>popcnt<u64>(load<u64>(s, 40));
  while (load<u32>(s, 56) > least) merge(s, 0);
}

/**
 * Pushes the two halves of a subtree onto the stack, because their parent may be the root. `count`
 * is its number of chunks, a power of two from 4 to 64.
 */
function push(s: usize, p: usize, count: u32): void {
  settle(s);
  const chunk = load<u64>(s, 40);
  const outboard = load<u32>(s, 60) && count === 64;
  halves(p, count, load<u64>(s, 48) + chunk, outboard ? node : 0);
  if (outboard) node += 128;
  const depth = load<u32>(s, 56);
  memory.copy(s + STACK + (<usize>depth << 5), TREE, 64);
  const level = <u8>(ctz(count) - 1);
  store<u8>(s + depth, level, 64);
  store<u8>(s + depth, level, 65);
  store<u32>(s, depth + 2, 56);
  store<u64>(s, chunk + count, 40);
}

export function stream_update(s: usize, p: usize, length: u32): void {
  useKey(s, load<u32>(s, 32));
  const buffered = load<u32>(s, 36);
  if (buffered) {
    const size = min(BUFFERED - buffered, length);
    memory.copy(s + BUFFER + buffered, p, size);
    store<u32>(s, buffered + size, 36);
    p += size;
    length -= size;
    if (buffered + size === BUFFERED) {
      push(s, s + BUFFER, 4);
      store<u32>(s, 0, 36);
    }
  }
  while (length >= BUFFERED) {
    const chunk = load<u64>(s, 40);
    let count: u32 = 64;
    while (<u32>chunk & (count - 1) || count << 10 > length) count >>= 1;
    push(s, p, count);
    p += count << 10;
    length -= count << 10;
  }
  if (length) {
    memory.copy(s + BUFFER, p, length);
    store<u32>(s, length, 36);
  }
  useKey(IV, 0);
}

/** Writes the digest, or the chaining value if `root` is 0. Only `stream_open` may follow. */
export function stream_end(s: usize, root: u32, out: usize): void {
  useKey(s, load<u32>(s, 32));
  root = root ? ROOT : 0;
  const buffered = load<u32>(s, 36);
  if (load<u32>(s, 56) === 0) {
    tree(s + BUFFER, buffered, load<u64>(s, 48), root, out);
  } else {
    if (buffered) {
      settle(s);
      const depth = load<u32>(s, 56);
      tree(s + BUFFER, buffered, load<u64>(s, 48) + load<u64>(s, 40), 0, s + STACK + (<usize>depth << 5));
      store<u8>(s + depth, 0, 64);
      store<u32>(s, depth + 1, 56);
    }
    for (let depth = load<u32>(s, 56); depth > 1; depth -= 1) merge(s, depth === 2 ? root : 0);
    memory.copy(out, s + STACK, 32);
  }
  useKey(IV, 0);
}
