import { lanesKey, lanesOut, lanesRun, pad as lanesPad, rowRun as lanesRow } from "./lanes";
import { CHUNK_END, CHUNK_START, LANES, NOWHERE, PADS, PARENT, ROOT, TAIL, TREE, key, mode } from "./layout";
import { pad as scalarPad, rowRun as scalarRow } from "./scalar";

/**
 * Bytes of a chunk that waits to be hashed. 0: u32 address; 4: u32 length, at most 1024; 8: u64
 * chunk counter; 16: u32 address of its chaining value; 20: u32 ROOT or 0.
 */
export const CHUNK_SIZE: usize = 24;

// @ts-ignore: decorator
@inline
function row(
  p: usize, blocks: u32, cv: usize, counter: u64, length: u32, first: u32, others: u32, last: u32, out: usize,
): void {
  if (ASC_FEATURE_SIMD) lanesRow(p, blocks, cv, counter, length, first, others, last, out);
  else scalarRow(p, blocks, cv, counter, length, first, others, last, out);
}

// @ts-ignore: decorator
@inline
function pad(to: usize, from: usize, length: u32): void {
  if (ASC_FEATURE_SIMD) lanesPad(to, from, length);
  else scalarPad(to, from, length);
}

// @ts-ignore: decorator
@inline
function blocksOf(length: u32): u32 {
  return length ? (length + 63) >> 6 : 1;
}

/** Hashes one chunk of at most 1024 bytes. */
export function chunkOne(p: usize, length: u32, counter: u64, root: u32, out: usize): void {
  const blocks = blocksOf(length);
  const whole = length >> 6;
  const start = mode | CHUNK_START;
  if (whole === blocks) {
    row(p, blocks, key, counter, 64, start, mode, CHUNK_END | root, out);
    return;
  }
  pad(PADS, p + (whole << 6), length & 63);
  if (whole) row(p, whole, key, counter, 64, start, mode, 0, out);
  row(PADS, 1, whole ? out : key, counter, length & 63, whole ? mode : start, 0, CHUNK_END | root, out);
}

/** Writes the parent of the two chaining values at `p`. */
export function parentOne(p: usize, root: u32, out: usize): void {
  row(p, 1, key, 0, 64, mode | PARENT, 0, root, out);
}

function splat(offset: usize, value: u32): void {
  v128.store(LANES + offset, i32x4.splat(value));
}

/** Hashes four whole chunks that follow each other. */
function chunksFour(p: usize, counter: u64, out: usize): void {
  if (ASC_FEATURE_SIMD) {
    lanesKey();
    // The first counter is a multiple of four, so there is no carry.
    v128.store(LANES, i32x4.add(i32x4.splat(<u32>counter), i32x4(0, 1, 2, 3)), 128);
    splat(144, <u32>(counter >> 32));
    splat(160, 64);
    splat(176, mode | CHUNK_START);
    splat(192, mode);
    splat(208, CHUNK_END);
    lanesRun(p, p + 1024, p + 2048, p + 3072, 16);
    lanesOut(out, out + 32, out + 64, out + 96);
  } else {
    for (let i: usize = 0; i < 4; i += 1) {
      row(p + (i << 10), 16, key, counter + i, 64, mode | CHUNK_START, mode, CHUNK_END, out + (i << 5));
    }
  }
}

/**
 * Computes four parents. Chaining values and results may be anywhere. `roots` is the address of a
 * vector with the flags of each.
 */
export function parentsFour(
  p0: usize, p1: usize, p2: usize, p3: usize, roots: usize, o0: usize, o1: usize, o2: usize, o3: usize,
): void {
  if (ASC_FEATURE_SIMD) {
    lanesKey();
    splat(128, 0);
    splat(144, 0);
    splat(160, 64);
    splat(176, mode | PARENT);
    v128.store(LANES, v128.load(roots), 208);
    lanesRun(p0, p1, p2, p3, 1);
    lanesOut(o0, o1, o2, o3);
  } else {
    parentOne(p0, load<u32>(roots), o0);
    parentOne(p1, load<u32>(roots, 4), o1);
    parentOne(p2, load<u32>(roots, 8), o2);
    parentOne(p3, load<u32>(roots, 12), o3);
  }
}

/**
 * Computes `count` parents of the chaining values that follow each other at `p`. `out` may be `p`.
 */
function parents(p: usize, count: u32, out: usize): void {
  if (ASC_FEATURE_SIMD) {
    // A lane may read beyond the values. Its result is discarded.
    while (count > 2) {
      lanesKey();
      splat(128, 0);
      splat(144, 0);
      splat(160, 64);
      splat(176, mode | PARENT);
      splat(208, 0);
      lanesRun(p, p + 64, p + 128, p + 192, 1);
      lanesOut(out, out + 32, out + 64, count > 3 ? out + 96 : NOWHERE);
      if (count < 4) return;
      count -= 4;
      p += 256;
      out += 128;
    }
  }
  while (count) {
    parentOne(p, 0, out);
    count -= 1;
    p += 64;
    out += 32;
  }
}

/** The smallest number of waiting chunks for which the four lanes are faster. */
const WORTH: u32 = 3;

/** Hashes at most four waiting chunks, sorted by their number of blocks, the smallest first. */
export function chunksAny(at: usize, count: u32): void {
  if (ASC_FEATURE_SIMD) {
    if (count >= WORTH) {
      lanesAny(at, count);
      return;
    }
  }
  for (; count; count -= 1) {
    chunkOne(load<u32>(at), load<u32>(at, 4), load<u64>(at, 8), load<u32>(at, 20), load<u32>(at, 16));
    at += CHUNK_SIZE;
  }
}

function lanesAny(at: usize, count: u32): void {
  const last = at + (count - 1) * CHUNK_SIZE;
  let p0: usize = 0, p1: usize = 0, p2: usize = 0, p3: usize = 0;
  let done: u32 = 0;
  lanesKey();
  for (let lane: usize = 0; lane < 4; lane += 1) {
    const from = min(at + lane * CHUNK_SIZE, last);
    const to = LANES + (lane << 2);
    const counter = load<u64>(from, 8);
    store<u32>(to, <u32>counter, 128);
    store<u32>(to, <u32>(counter >> 32), 144);
  }
  splat(176, mode | CHUNK_START);
  splat(192, mode);
  const a0 = load<u32>(at), a1 = load<u32>(min(at + CHUNK_SIZE, last));
  const a2 = load<u32>(min(at + 2 * CHUNK_SIZE, last)), a3 = load<u32>(last);
  for (let next: u32 = 0; next < count; ) {
    // All lanes advance to the last block of the shortest unfinished chunk. Lanes that are done
    // read arbitrary bytes.
    const target = blocksOf(load<u32>(at + next * CHUNK_SIZE, 4)) - 1;
    if (target > done) {
      const skip: usize = done << 6;
      splat(160, 64);
      splat(208, 0);
      lanesRun(a0 + skip, a1 + skip, a2 + skip, a3 + skip, target - done);
      done = target;
      splat(176, mode);
    }
    const skip: usize = done << 6;
    p0 = a0 + skip; p1 = a1 + skip; p2 = a2 + skip; p3 = a3 + skip;
    for (let lane: u32 = 0; lane < 4; lane += 1) {
      const from = min(at + lane * CHUNK_SIZE, last);
      const to = LANES + (lane << 2);
      const length = load<u32>(from, 4);
      const ends = blocksOf(length) - 1 === done;
      const rest = length - (done << 6);
      store<u32>(to, ends ? rest : 64, 160);
      store<u32>(to, ends ? load<u32>(from, 20) | CHUNK_END : 0, 208);
      if (ends && rest < 64) {
        const block = PADS + (lane << 6);
        pad(block, load<u32>(from) + skip, rest);
        if (lane === 0) p0 = block;
        else if (lane === 1) p1 = block;
        else if (lane === 2) p2 = block;
        else p3 = block;
      }
    }
    lanesRun(p0, p1, p2, p3, 1);
    splat(176, mode);
    const from = next;
    while (next < count && blocksOf(load<u32>(at + next * CHUNK_SIZE, 4)) - 1 === done) next += 1;
    done += 1;
    lanesOut(
      from === 0 ? load<u32>(at, 16) : NOWHERE,
      from <= 1 && next > 1 ? load<u32>(at + CHUNK_SIZE, 16) : NOWHERE,
      from <= 2 && next > 2 ? load<u32>(at + 2 * CHUNK_SIZE, 16) : NOWHERE,
      from <= 3 && next > 3 ? load<u32>(at + 3 * CHUNK_SIZE, 16) : NOWHERE,
    );
  }
}

/** Writes the chaining values of the chunks of at most 64 KiB to TREE. Returns their number. */
function chunks(p: usize, length: u32, counter: u64): u32 {
  let out = TREE;
  for (; length >= 4096; length -= 4096) {
    chunksFour(p, counter, out);
    p += 4096;
    counter += 4;
    out += 128;
  }
  if (length) {
    const count = (length + 1023) >> 10;
    for (let i: u32 = 0; i < count; i += 1) {
      // The last chunk has the fewest blocks, so it comes first.
      const place = TAIL + (i + 1 === count ? 0 : i + 1) * CHUNK_SIZE;
      store<u32>(place, p + (i << 10));
      store<u32>(place, min(length - (i << 10), 1024), 4);
      store<u64>(place, counter + i, 8);
      store<u32>(place, out, 16);
      store<u32>(place, 0, 20);
      out += 32;
    }
    chunksAny(TAIL, count);
  }
  return (out - TREE) >> 5;
}

/** Hashes the whole tree over at most 64 KiB. */
export function tree(p: usize, length: u32, counter: u64, root: u32, out: usize): void {
  if (length <= 1024) {
    chunkOne(p, length, counter, root, out);
    return;
  }
  let count = chunks(p, length, counter);
  while (count > 2) {
    const pairs = count >> 1;
    parents(TREE, pairs, TREE);
    if (count & 1) memory.copy(TREE + (pairs << 5), TREE + ((count - 1) << 5), 32);
    count = pairs + (count & 1);
  }
  parentOne(TREE, root, out);
}

/**
 * Writes the chaining values of the two halves of a subtree to TREE. `count` is its number of
 * chunks, a power of two from 4 to 64. If `count` is 64 and `nodes` is not 0, it also writes the
 * values of the four groups of 16 chunks to `nodes`: 128 bytes, the two nodes above the groups.
 */
export function halves(p: usize, count: u32, counter: u64, nodes: usize): void {
  const all = count === 64;
  chunks(p, count << 10, counter);
  while (count > 2) {
    if (all && count === 4 && nodes) memory.copy(nodes, TREE, 128);
    count >>= 1;
    parents(TREE, count, TREE);
  }
}
