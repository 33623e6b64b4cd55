// The range decoder of LZMA. It decodes bits with and without adaptive probabilities. The loops
// keep range and code in locals, because engines keep a module's variables in memory.

import { INPUT, PROBABILITIES } from "./layout";

/** Initial probability, in 2048ths. */
const HALF: u64 = 1024;
/** Bits of the range that are zeros when the next byte of input is due. */
const TOP: u32 = 0xff000000;

let range: u32 = 0;
export let code: u32 = 0;
/** Number of input bytes read. */
export let taken: u32 = 0;

/** Begins with the first five bytes of the input. */
export function begin(): void {
  range = 0xffffffff;
  code = bswap(load<u32>(INPUT, 1));
}

/** Reads from the first byte of the input. */
export function rewind(): void {
  taken = 0;
}

/** Resets the first `count` probabilities, or up to three more. */
export function forget(count: u32): void {
  for (let i: u32 = 0; i < count; i += 4) store<u64>(PROBABILITIES + 2 * i, HALF * 0x0001_0001_0001_0001);
}

/** Decodes one bit with the probability at `index`, and adapts the probability. */
// @ts-ignore: AssemblyScript allows decorators of functions.
@inline export function bit(index: u32): u32 {
  const p = PROBABILITIES + 2 * index;
  const probability = <u32>load<u16>(p);
  const bound = (range >>> 11) * probability;
  let r: u32 = 0;
  let result: u32 = 0;
  if (code < bound) {
    r = bound;
    store<u16>(p, probability + ((2048 - probability) >> 5));
  } else {
    r = range - bound;
    code -= bound;
    store<u16>(p, probability - (probability >> 5));
    result = 1;
  }
  if ((r & TOP) == 0) {
    r <<= 8;
    code = (code << 8) | load<u8>(INPUT + taken);
    taken += 1;
  }
  range = r;
  return result;
}

/**
 * Decodes a number below `size`, a power of two, highest bit first. The preceding bits select the
 * probability of each bit.
 */
export function tree(base: u32, size: u32): u32 {
  return lower(base, 1, size) - size;
}

/** Appends decoded bits to `symbol`, the highest first, until it reaches `end`. */
function lower(base: u32, symbol: u32, end: u32): u32 {
  const p = PROBABILITIES + 2 * base;
  let r = range, c = code, t = taken;
  while (symbol < end) {
    const q = p + 2 * symbol;
    const probability = <u32>load<u16>(q);
    const bound = (r >>> 11) * probability;
    if (c < bound) {
      r = bound;
      store<u16>(q, probability + ((2048 - probability) >> 5));
      symbol <<= 1;
    } else {
      r -= bound;
      c -= bound;
      store<u16>(q, probability - (probability >> 5));
      symbol = (symbol << 1) | 1;
    }
    if ((r & TOP) == 0) {
      r <<= 8;
      c = (c << 8) | load<u8>(INPUT + t);
      t += 1;
    }
  }
  range = r;
  code = c;
  taken = t;
  return symbol;
}

/**
 * Decodes a byte. As long as its bits equal those of `match`, the next bit of `match` also selects
 * the probability.
 */
export function byteLike(match: u32, base: u32): u32 {
  let symbol: u32 = 1;
  do {
    const matchBit = (match >> 7) & 1;
    match <<= 1;
    const decoded = bit(base + ((1 + matchBit) << 8) + symbol);
    symbol = (symbol << 1) | decoded;
    if (matchBit != decoded) break;
  } while (symbol < 0x100);
  return lower(base, symbol, 0x100) - 0x100;
}

/** Decodes a number of `bits` bits, lowest bit first. */
export function reverseTree(base: u32, bits: u32): u32 {
  let symbol: u32 = 1;
  let value: u32 = 0;
  for (let i: u32 = 0; i < bits; i++) {
    const decoded = bit(base + symbol);
    symbol = (symbol << 1) | decoded;
    value |= decoded << i;
  }
  return value;
}

/** Decodes a number whose bits have no probabilities, highest bit first. */
export function directBits(count: u32): u32 {
  let r = range, c = code, t = taken;
  let value: u32 = 0;
  for (; count; count--) {
    r >>= 1;
    // All bits are set if the decoded bit is 0. These bits are random, so a branch would be slower.
    const mask: u32 = 0 - <u32>(c < r);
    c = c - r + (r & mask);
    value = (value << 1) + 1 + mask;
    if ((r & TOP) == 0) {
      r <<= 8;
      c = (c << 8) | load<u8>(INPUT + t);
      t += 1;
    }
  }
  range = r;
  code = c;
  taken = t;
  return value;
}
