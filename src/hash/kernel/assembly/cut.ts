import { GEAR, gearMade, makeGear } from "./gear";

const MIN: u32 = 128 << 10;
const AVERAGE: u32 = 256 << 10;
const MAX: u32 = 512 << 10;
const BEFORE: u64 = 0x0000d91707537000;
const AFTER: u64 = 0x0000d90703537000;

let hash: u64 = 0;

// @ts-ignore: decorator
@inline
function gear(p: usize): u64 {
  return load<u64>(GEAR + (<usize>load<u8>(p) << 3));
}

/** Goes over pairs of bytes from `p` to `end`. Answers where to cut, or 0. */
function scan(p: usize, end: usize, mask: u64): usize {
  const shifted = mask << 1;
  let h = hash;
  // The sums of what four bytes add don't wait for the hash: it takes one step for four bytes.
  const fast = p + ((end - p) & ~7);
  while (p < fast) {
    const a0 = gear(p) << 1;
    const a1 = a0 + gear(p + 1);
    const b0 = (a1 << 2) + (gear(p + 2) << 1);
    const b1 = b0 + gear(p + 3);
    const h2 = h << 2;
    const h4 = h << 4;
    if (!((h2 + a0) & shifted)) return p;
    if (!((h2 + a1) & mask)) return p + 1;
    if (!((h4 + b0) & shifted)) return p + 2;
    h = h4 + b1;
    if (!(h & mask)) return p + 3;
    const c0 = gear(p + 4) << 1;
    const c1 = c0 + gear(p + 5);
    const d0 = (c1 << 2) + (gear(p + 6) << 1);
    const d1 = d0 + gear(p + 7);
    const i2 = h << 2;
    const i4 = h << 4;
    if (!((i2 + c0) & shifted)) return p + 4;
    if (!((i2 + c1) & mask)) return p + 5;
    if (!((i4 + d0) & shifted)) return p + 6;
    h = i4 + d1;
    if (!(h & mask)) return p + 7;
    p += 8;
  }
  while (p < end) {
    h = (h << 2) + (gear(p) << 1);
    if (!(h & shifted)) return p;
    h += gear(p + 1);
    if (!(h & mask)) return p + 1;
    p += 2;
  }
  hash = h;
  return 0;
}

/** Length of the first chunk of FastCDC (2020). Final if there are 512 KiB, or the content ends with `length`. */
export function cut(p: usize, length: u32): u32 {
  if (length <= MIN) return length;
  if (!gearMade) makeGear();
  length = min(length, MAX);
  const centre = min(length, AVERAGE) & ~1;
  hash = 0;
  let at = scan(p + MIN, p + centre, BEFORE);
  if (!at) at = scan(p + centre, p + (length & ~1), AFTER);
  return at ? at - p : length;
}

/** A cutter, 16 bytes at `c`: 0 u64 hash, 8 u32 bytes of the chunk so far (even), 12 u32 whether it ended. */
export function cut_open(c: usize, position: u32): void {
  store<u64>(c, 0);
  store<u32>(c, position, 8);
  store<u32>(c, 0, 12);
}

/** Takes the next bytes of a chunk, as far as it goes; answers how many. An even number, unless the chunk or the content ends there. */
export function cut_next(c: usize, p: usize, length: u32): u32 {
  if (!gearMade) makeGear();
  const position = load<u32>(c, 8);
  const size = min(length, MAX - position);
  const base = p - position;
  const even = position + (size & ~1);
  hash = load<u64>(c);
  let at: usize = 0;
  let from = max(position, MIN);
  if (from < AVERAGE && from < even) {
    at = scan(base + from, base + min(even, AVERAGE), BEFORE);
    from = AVERAGE;
  }
  if (!at && from < even) at = scan(base + from, base + even, AFTER);
  store<u64>(c, hash);
  const taken = at ? at - p : size;
  store<u32>(c, position + taken, 8);
  store<u32>(c, at || position + taken === MAX ? 1 : 0, 12);
  return taken;
}
