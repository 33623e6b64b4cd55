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

/** Gear value of the byte in bits 3 to 10. */
// @ts-ignore: decorator
@inline
function gearAt(bits: u32): u64 {
  return load<u64>(<usize>(bits & 0x7f8), GEAR);
}

/**
 * Scans pairs of bytes from `p` to `end`. Returns the address to cut at, or 0. FastCDC's two bytes
 * per step become one shift and one addition per byte. To test the first byte of a pair, FastCDC
 * shifts the hash and the mask by one bit. Neither is shifted here, with the same result. The sums
 * of gear values don't wait for the hash. Each sum is one instruction on a machine that has an
 * instruction to shift and add.
 */
// @ts-ignore: decorator
@inline
function scan(p: usize, end: usize, mask: u64): usize {
  let h = hash;
  const fast = p + ((end - p) & ~7);
  while (p < fast) {
    const x = load<u64>(p);
    const a = gearAt(<u32>(x << 3));
    const b = (a << 1) + gearAt(<u32>(x >> 5));
    const c = gearAt(<u32>(x >> 13));
    const d = (c << 1) + gearAt(<u32>(x >> 21));
    if (!(((h << 1) + a) & mask)) return p;
    h = (h << 2) + b;
    if (!(h & mask)) return p + 1;
    if (!(((h << 1) + c) & mask)) return p + 2;
    h = (h << 2) + d;
    if (!(h & mask)) return p + 3;
    const e = gearAt(<u32>(x >> 29));
    const f = (e << 1) + gearAt(<u32>(x >> 37));
    const g = gearAt(<u32>(x >> 45));
    const i = (g << 1) + gearAt(<u32>(x >> 53));
    if (!(((h << 1) + e) & mask)) return p + 4;
    h = (h << 2) + f;
    if (!(h & mask)) return p + 5;
    if (!(((h << 1) + g) & mask)) return p + 6;
    h = (h << 2) + i;
    if (!(h & mask)) return p + 7;
    p += 8;
  }
  while (p < end) {
    h = (h << 1) + gear(p);
    if (!(h & mask)) return p;
    p += 1;
  }
  hash = h;
  return 0;
}

/**
 * Opens a cutter of 16 bytes at `c`: 0 u64 hash, 8 u32 bytes of the chunk so far (even), 12 u32
 * whether the chunk ended.
 */
export function cut_open(c: usize, position: u32): void {
  store<u64>(c, 0);
  store<u32>(c, position, 8);
  store<u32>(c, 0, 12);
}

/**
 * Consumes the next bytes of a chunk, up to its end. Returns their number, which is even unless the
 * chunk or the content ends there.
 */
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
