// The parts of BLAKE3 that all its versions share.
import { hex, range } from "./text.mjs";

const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
export const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const COLUMNS = [0, 1, 2, 3].map((i) => [i, 4 + i, 8 + i, 12 + i]);
const DIAGONALS = [0, 1, 2, 3].map((i) => [i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4)]);

/** The lines of seven rounds. `half(quads, words)` returns the lines of four G functions. */
export function rounds(half) {
  const lines = [];
  let schedule = range(16);
  for (let round = 0; round < 7; round++) {
    for (const [quads, from] of [
      [COLUMNS, 0],
      [DIAGONALS, 8],
    ]) {
      lines.push(...half(quads.map((quad, i) => [...quad, schedule[from + 2 * i], schedule[from + 2 * i + 1]])));
    }
    schedule = PERMUTATION.map((i) => schedule[i]);
  }
  return lines;
}

/** The text of constants.ts: the initial values of BLAKE3, and the sines for the gear table. */
export function constants() {
  const sines = range(64).map((i) => hex(Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1)))));
  const rows = range(8).map((i) => `  ${sines.slice(8 * i, 8 * i + 8).join(", ")},`);
  return `/** BLAKE3's initial values. */
export const IV: usize = memory.data<u32>([${IV.map(hex).join(", ")}]);

/** MD5's constants: the fractions of sines. */
export const SINES: usize = memory.data<u32>([
${rows.join("\n")}
]);
`;
}
