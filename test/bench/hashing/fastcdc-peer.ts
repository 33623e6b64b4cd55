/**
 * FastCDC without WebAssembly, as fast as we could write it, to compare the kernel with. The
 * parameters are those of wire.md, as in test/hash/fastcdc-reference.ts, which is the slow
 * reference implementation.
 */

import { createMD5 } from "hash-wasm";

const MIN = 128 * 1024;
const AVERAGE = 256 * 1024;
const MAX = 512 * 1024;

/** Finds the end of a chunk. Uses a 64-bit hash in two parts. */
type Scan = (bytes: Uint8Array, from: number, average: number, max: number) => number | undefined;

function chunkLengths(bytes: Uint8Array, scan: Scan): number[] {
  const lengths: number[] = [];
  for (let start = 0; start < bytes.length; ) {
    const available = Math.min(bytes.length - start, MAX);
    const average = Math.min(available, AVERAGE);
    // Each step takes two bytes, so an odd last byte is ignored.
    const found = available > MIN ? scan(bytes, start + MIN, start + (average & ~1), start + (available & ~1)) : undefined;
    const length = found === undefined ? available : found - start;
    lengths.push(length);
    start += length;
  }
  return lengths;
}

// The gear table: for each byte value, the first half of the MD5 digest of 64 such bytes. There is
// also a copy shifted left by one bit, for the first byte of a step.
const HIGH = new Int32Array(256);
const LOW = new Uint32Array(256);
const HIGH_SHIFTED = new Int32Array(256);
const LOW_SHIFTED = new Uint32Array(256);

/**
 * The same table in parts of 32 upper and 24 lower bits. The remaining 8 bits are left out, because
 * no mask uses them.
 */
const UPPER = new Int32Array(256);
const LOWER = new Int32Array(256);
const UPPER_SHIFTED = new Int32Array(256);
const LOWER_SHIFTED = new Int32Array(256);

const md5 = await createMD5();
for (let value = 0; value < 256; value++) {
  const digest = md5.init().update(new Uint8Array(64).fill(value)).digest("binary");
  const view = new DataView(digest.buffer, digest.byteOffset);
  const high = view.getUint32(0);
  const low = view.getUint32(4);
  HIGH[value] = high;
  LOW[value] = low;
  HIGH_SHIFTED[value] = (high << 1) | (low >>> 31);
  LOW_SHIFTED[value] = low << 1;
  UPPER[value] = (high << 8) | (low >>> 24);
  LOWER[value] = low & 0xffffff;
  UPPER_SHIFTED[value] = (UPPER[value] as number) << 1;
  LOWER_SHIFTED[value] = (LOWER[value] as number) << 1;
}

// The masks are 0xd917_07537000 before the average size and 0xd907_03537000 after it. For the first
// byte of a step, they are shifted left by one bit.
// The loops for both masks are written out, because constant masks are faster.

/** Uses two halves of 32 bits. An unsigned comparison finds the carry between them. */
function scanHalves(bytes: Uint8Array, from: number, average: number, max: number): number | undefined {
  let high = 0;
  let low = 0;
  let i = from;
  for (; i < average; i += 2) {
    const a = bytes[i] as number;
    let gear = LOW_SHIFTED[a] as number;
    high = (((high << 2) | (low >>> 30)) + (HIGH_SHIFTED[a] as number)) | 0;
    low = ((low << 2) + gear) | 0;
    if (low >>> 0 < gear) high = (high + 1) | 0;
    if ((low & 0x0ea6e000) === 0 && (high & 0x1b22e) === 0) return i;
    const b = bytes[i + 1] as number;
    gear = LOW[b] as number;
    high = (high + (HIGH[b] as number)) | 0;
    low = (low + gear) | 0;
    if (low >>> 0 < gear) high = (high + 1) | 0;
    if ((low & 0x07537000) === 0 && (high & 0xd917) === 0) return i + 1;
  }
  for (; i < max; i += 2) {
    const a = bytes[i] as number;
    let gear = LOW_SHIFTED[a] as number;
    high = (((high << 2) | (low >>> 30)) + (HIGH_SHIFTED[a] as number)) | 0;
    low = ((low << 2) + gear) | 0;
    if (low >>> 0 < gear) high = (high + 1) | 0;
    if ((low & 0x06a6e000) === 0 && (high & 0x1b20e) === 0) return i;
    const b = bytes[i + 1] as number;
    gear = LOW[b] as number;
    high = (high + (HIGH[b] as number)) | 0;
    low = (low + gear) | 0;
    if (low >>> 0 < gear) high = (high + 1) | 0;
    if ((low & 0x03537000) === 0 && (high & 0xd907) === 0) return i + 1;
  }
  return undefined;
}

/**
 * Uses 24 lower bits. The carry is then in the bits above them, and no comparison is necessary. In
 * V8, this was measured to be more than twice as fast. A loop that only calculates the lower half,
 * and the upper half on a match, was never faster.
 */
function scan(bytes: Uint8Array, from: number, average: number, max: number): number | undefined {
  let upper = 0;
  let lower = 0;
  let i = from;
  for (; i < average; i += 2) {
    const a = bytes[i] as number;
    lower = ((lower << 2) + (LOWER_SHIFTED[a] as number)) | 0;
    upper = ((upper << 2) + (UPPER_SHIFTED[a] as number) + (lower >>> 24)) | 0;
    lower &= 0xffffff;
    if ((lower & 0xa6e000) === 0 && (upper & 0x01b22e0e) === 0) return i;
    const b = bytes[i + 1] as number;
    lower = (lower + (LOWER[b] as number)) | 0;
    upper = (upper + (UPPER[b] as number) + (lower >>> 24)) | 0;
    lower &= 0xffffff;
    if ((lower & 0x537000) === 0 && (upper & 0xd91707) === 0) return i + 1;
  }
  for (; i < max; i += 2) {
    const a = bytes[i] as number;
    lower = ((lower << 2) + (LOWER_SHIFTED[a] as number)) | 0;
    upper = ((upper << 2) + (UPPER_SHIFTED[a] as number) + (lower >>> 24)) | 0;
    lower &= 0xffffff;
    if ((lower & 0xa6e000) === 0 && (upper & 0x01b20e06) === 0) return i;
    const b = bytes[i + 1] as number;
    lower = (lower + (LOWER[b] as number)) | 0;
    upper = (upper + (UPPER[b] as number) + (lower >>> 24)) | 0;
    lower &= 0xffffff;
    if ((lower & 0x537000) === 0 && (upper & 0xd90703) === 0) return i + 1;
  }
  return undefined;
}

/** Returns the lengths of the chunks, with the fastest loop. */
export function cutAll(bytes: Uint8Array): number[] {
  return chunkLengths(bytes, scan);
}

export function cutAllByHalves(bytes: Uint8Array): number[] {
  return chunkLengths(bytes, scanHalves);
}
