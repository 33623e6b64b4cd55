// Operations on vectors of four words, in AssemblyScript.
import { range } from "./text.mjs";

/** The byte orders that rotate each word, by the number of bits. */
export const ROTATE = {
  16: "i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)",
  8: "i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)",
};

/** The line that declares `n` locals. */
export const locals = (prefix, n) =>
  `  let ${range(n)
    .map((i) => `${prefix}${i} = ZERO`)
    .join(", ")};\n`;

/** Rotates each 32-bit lane to the right. */
export const rotate = (x, n) =>
  n % 8 === 0 ? `i8x16.swizzle(${x}, R${n})` : `v128.or(i32x4.shr_u(${x}, ${n}), i32x4.shl(${x}, ${32 - n}))`;

/** Picks words of two vectors: 0 to 3 are those of the first. */
export const shuffle = (a, b, ...lanes) => `v128.shuffle<u32>(${a}, ${b}, ${lanes.join(", ")})`;
