import { IV, rounds } from "./blake3.mjs";
import { hex, range } from "./text.mjs";

/** The text of scalar.ts: compression of BLAKE3 in 32-bit integers. */
export function scalar() {
  const half = (gs) =>
    gs.flatMap(([a, b, c, d, x, y]) =>
      [
        [x, 16, 12],
        [y, 8, 7],
      ].flatMap(([word, first, second]) => [
        `v${a} = v${a} + m${word} + v${b};`,
        `v${d} = rotr(v${d} ^ v${a}, ${first});`,
        `v${c} = v${c} + v${d};`,
        `v${b} = rotr(v${b} ^ v${c}, ${second});`,
      ]),
    );
  return `/** Like \`rowRun\` in lanes.ts, without SIMD. */
export function rowRun(
  p: usize, blocks: u32, cv: usize, counter: u64, length: u32, first: u32, others: u32, last: u32, out: usize,
): void {
  ${range(16)
    .map((i) => `let v${i}: u32 = ${i < 8 ? `load<u32>(cv, ${4 * i})` : 0};`)
    .join(" ")}
  ${range(16)
    .map((i) => `let m${i}: u32 = 0;`)
    .join(" ")}
  let flags = first;
  let size: u32 = 64;
  while (blocks) {
    blocks -= 1;
    if (!blocks) {
      flags |= last;
      size = length;
    }
    ${range(16)
      .map((i) => `m${i} = load<u32>(p, ${4 * i});`)
      .join(" ")}
    p += 64;
    ${range(4)
      .map((i) => `v${8 + i} = ${hex(IV[i])};`)
      .join(" ")}
    v12 = <u32>counter; v13 = <u32>(counter >> 32); v14 = size; v15 = flags;
    ${rounds(half).join("\n    ")}
    ${range(8)
      .map((i) => `v${i} ^= v${i + 8};`)
      .join(" ")}
    flags = others;
  }
  ${range(8)
    .map((i) => `store<u32>(out, v${i}, ${4 * i});`)
    .join(" ")}
}

/** Copies \`length\` bytes and fills the block with zeros. */
export function pad(to: usize, from: usize, length: u32): void {
  for (let i: u32 = 0; i < 64; i += 1) store<u8>(to + i, i < length ? load<u8>(from + i) : 0);
}
`;
}
