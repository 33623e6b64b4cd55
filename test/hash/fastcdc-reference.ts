import { createMD5 } from "hash-wasm";

/**
 * A reference in plain TypeScript for the kernel's cutting. It is FastCDC 2020 (Xia et al., "The
 * Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems"), with two
 * bytes per step and with the parameters of tvix and snix. Equal parameters give equal chunks
 * everywhere.
 */
export const MIN_CHUNK_SIZE = 128 * 1024;
export const AVERAGE_CHUNK_SIZE = 256 * 1024;
export const MAX_CHUNK_SIZE = 512 * 1024;

// Normalised chunking, level 1: a stricter mask before the average size, a looser one after it. The
// second byte of a step is tested with the mask. The first byte is tested with mask and gear
// shifted left by one. JavaScript has no fast 64-bit integers, so each 64-bit value is two halves.
const BEFORE = { high: 0x0000d917, low: 0x07537000 };
const AFTER = { high: 0x0000d907, low: 0x03537000 };

const GEAR_HIGH = new Uint32Array(256);
const GEAR_LOW = new Uint32Array(256);
const SHIFTED_HIGH = new Uint32Array(256);
const SHIFTED_LOW = new Uint32Array(256);

const md5 = await createMD5();
for (let value = 0; value < 256; value++) {
  const hash = md5.init().update(new Uint8Array(64).fill(value)).digest("binary");
  const view = new DataView(hash.buffer, hash.byteOffset);
  const high = view.getUint32(0);
  const low = view.getUint32(4);
  GEAR_HIGH[value] = high;
  GEAR_LOW[value] = low;
  SHIFTED_HIGH[value] = (high << 1) | (low >>> 31);
  SHIFTED_LOW[value] = low << 1;
}

/**
 * Returns the length of the first chunk of `bytes` from `start` to `end`. The result is final only
 * if at least `MAX_CHUNK_SIZE` bytes are there, or the content ends at `end`.
 */
export function cut(bytes: Uint8Array, start: number, end: number): number {
  const available = end - start;
  if (available <= MIN_CHUNK_SIZE) return available;
  const length = Math.min(available, MAX_CHUNK_SIZE);
  const center = Math.min(length, AVERAGE_CHUNK_SIZE);

  let high = 0;
  let low = 0;
  let index = start + MIN_CHUNK_SIZE;
  let maskHigh = BEFORE.high;
  let maskLow = BEFORE.low;
  let stop = start + (center - (center % 2));
  for (let phase = 0; phase < 2; phase++) {
    const shiftedMaskHigh = (maskHigh << 1) | (maskLow >>> 31);
    const shiftedMaskLow = maskLow << 1;
    for (; index < stop; index += 2) {
      const first = bytes[index] as number;
      let sum = ((low << 2) >>> 0) + (SHIFTED_LOW[first] as number);
      high = (((high << 2) | (low >>> 30)) + (SHIFTED_HIGH[first] as number) + (sum > 0xffffffff ? 1 : 0)) | 0;
      low = sum | 0;
      if ((high & shiftedMaskHigh) === 0 && (low & shiftedMaskLow) === 0) return index - start;
      const second = bytes[index + 1] as number;
      sum = (low >>> 0) + (GEAR_LOW[second] as number);
      high = (high + (GEAR_HIGH[second] as number) + (sum > 0xffffffff ? 1 : 0)) | 0;
      low = sum | 0;
      if ((high & maskHigh) === 0 && (low & maskLow) === 0) return index + 1 - start;
    }
    maskHigh = AFTER.high;
    maskLow = AFTER.low;
    stop = start + (length - (length % 2));
  }
  return length;
}
