import { viewOf } from "../bytes.ts";
import type { XzFilter } from "./xz-filter.ts";

/**
 * The branch filters of .xz for instructions of a fixed length: they turn the absolute targets of
 * calls, which compress better, back into distances. Names and bit fields are those of each
 * processor's manual; liblzma decides which instructions are changed.
 */

/** A filter that looks at `length` bytes at each multiple of `step`. */
function filter(step: number, length: number, change: (view: DataView, at: number, position: number) => boolean): () => XzFilter {
  return () => ({
    decode(bytes, position) {
      const view = viewOf(bytes);
      let at = 0;
      // A Thumb call is twice as long as a step.
      while (at + length <= bytes.length) at += change(view, at, (position + at) >>> 0) ? length : step;
      return at;
    },
  });
}

/** BL, always executed: its lowest 24 bits are a distance in words, from two instructions later. */
export const armFilter = filter(4, 4, (view, at, position) => {
  const word = view.getUint32(at, true);
  if (word >>> 24 !== 0xeb) return false;
  const distance = (word << 2) - (position + 8);
  view.setUint32(at, (0xeb << 24) | ((distance >>> 2) & 0xffffff), true);
  return true;
});

/** BL in two halves of 11 bits each, a distance in half-words. */
export const armThumbFilter = filter(2, 4, (view, at, position) => {
  const high = view.getUint16(at, true);
  const low = view.getUint16(at + 2, true);
  if (high >> 11 !== 0x1e || low >> 11 !== 0x1f) return false;
  const target = (((high & 0x7ff) << 11) | (low & 0x7ff)) << 1;
  const distance = (target - (position + 4)) >>> 1;
  view.setUint16(at, 0xf000 | ((distance >>> 11) & 0x7ff), true);
  view.setUint16(at + 2, 0xf800 | (distance & 0x7ff), true);
  return true;
});

/**
 * BL has a distance of 26 bits, in words. ADRP has one of 21 bits, in pages of 4 KiB; the encoder
 * changes only those within 512 MiB.
 */
export const arm64Filter = filter(4, 4, (view, at, position) => {
  const word = view.getUint32(at, true);
  if (word >>> 26 === 0x25) {
    view.setUint32(at, 0x94000000 | ((word - (position >>> 2)) & 0x3ffffff), true);
    return true;
  }
  if ((word & 0x9f000000) >>> 0 !== 0x90000000) return false;
  const target = ((word >>> 29) & 3) | ((word >>> 3) & 0x1ffffc);
  if (((target + 0x20000) & 0x1c0000) !== 0) return true;
  const pages = target - (position >>> 12);
  const high = (pages & 0x3fffc) | (-(pages & 0x20000) & 0x1c0000);
  view.setUint32(at, (word & 0x9000001f) | ((pages & 3) << 29) | (high << 3), true);
  return true;
});

/** BL, relative: 24 bits of words. */
export const powerPcFilter = filter(4, 4, (view, at, position) => {
  const word = view.getUint32(at, false);
  if (word >>> 26 !== 0x12 || (word & 3) !== 1) return false;
  view.setUint32(at, (0x12 << 26) | ((word - position) & 0x3fffffc) | 1, false);
  return true;
});

/**
 * CALL has a distance of 30 bits, in words. The encoder changes only those that fit in 22 bits and
 * a sign.
 */
export const sparcFilter = filter(4, 4, (view, at, position) => {
  const word = view.getUint32(at, false);
  if (word >>> 22 !== 0x100 && word >>> 22 !== 0x1ff) return false;
  const distance = ((word << 2) - position) >>> 2;
  const sign = (distance >>> 22) & 1 ? 0x3fc00000 : 0;
  view.setUint32(at, 0x40000000 | sign | (distance & 0x3fffff), false);
  return true;
});

/** Which of the three instructions of a bundle are branches, by the bundle's template. */
const IA64_BRANCHES = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0];
/** The bits of a branch that hold its distance, in bundles. */
const IA64_DISTANCE = 0x8fffffn << 13n;

/** Bundles of 16 bytes: a template of 5 bits and three instructions of 41 bits. */
export const ia64Filter = filter(16, 16, (view, at, position) => {
  const branches = IA64_BRANCHES[view.getUint8(at) & 0x1f] as number;
  for (let slot = 0; slot < 3; slot++) {
    if (((branches >> slot) & 1) === 0) continue;
    const firstBit = 5 + 41 * slot;
    const bytes = at + (firstBit >> 3);
    const shift = BigInt(firstBit & 7);
    // Six bytes.
    const word = BigInt(view.getUint32(bytes, true)) | (BigInt(view.getUint16(bytes + 4, true)) << 32n);
    const code = word >> shift;
    if (((code >> 37n) & 0xfn) !== 5n || ((code >> 9n) & 7n) !== 0n) continue;
    const target = Number(((code >> 13n) & 0xfffffn) | (((code >> 36n) & 1n) << 20n));
    const distance = BigInt(((target << 4) - position) >>> 4);
    const field = ((distance & 0xfffffn) << 13n) | (((distance >> 20n) & 1n) << 36n);
    const changed = (((code & ~IA64_DISTANCE) | field) << shift) | (word & ((1n << shift) - 1n));
    view.setUint32(bytes, Number(changed & 0xffffffffn), true);
    view.setUint16(bytes + 4, Number((changed >> 32n) & 0xffffn), true);
  }
  return true;
});
