import { IV } from "./blake3.mjs";
import { ROTATE, rotate, shuffle } from "./simd.mjs";
import { hex, range } from "./text.mjs";

/**
 * The second part of the text of lanes.ts: compression of one input with SIMD. The four rows of
 * the state are vectors. Between the halves of a round the rows a, c and d are rotated. Row b is
 * not, because everything waits for it. So the words of the diagonals come in the order of the
 * columns of b.
 */
export function row() {
  const lines = [];
  const g = (x, y) => {
    for (const [word, first, second] of [
      [x, 16, 12],
      [y, 8, 7],
    ]) {
      lines.push(
        `a = i32x4.add(a, ${word});`,
        "a = i32x4.add(a, b);",
        "d = v128.xor(d, a);",
        `d = ${rotate("d", first)};`,
        "c = i32x4.add(c, d);",
        "b = v128.xor(b, c);",
        `b = ${rotate("b", second)};`,
      );
    }
  };
  const turn = (row, n) => lines.push(`${row} = ${shuffle(row, row, ...range(4).map((i) => (i + n) % 4))};`);
  lines.push(
    `x = ${shuffle("m0", "m1", 0, 2, 4, 6)};`,
    `y = ${shuffle("m0", "m1", 1, 3, 5, 7)};`,
    `z = ${shuffle("m2", "m3", 0, 2, 4, 6)};`,
    `w = ${shuffle("m2", "m3", 1, 3, 5, 7)};`,
    `z = ${shuffle("z", "z", 3, 0, 1, 2)};`,
    `w = ${shuffle("w", "w", 3, 0, 1, 2)};`,
  );
  for (let round = 0; round < 7; round++) {
    if (round > 0) {
      lines.push(
        // x: words 2 3 7 4 of the last round's order, y: 6 10 0 13, z: 15 1 12 9, w: 8 11 5 14.
        `t = ${shuffle("x", "y", 1, 2, 5, 7)};`,
        `t = ${shuffle("t", "t", 0, 2, 3, 1)};`,
        `u = ${shuffle("z", "w", 0, 1, 2, 7)};`,
        `u = ${shuffle("x", "u", 3, 0, 6, 7)};`,
        `u = ${shuffle("u", "u", 0, 2, 1, 3)};`,
        `s = ${shuffle("w", "z", 0, 1, 2, 7)};`,
        `r = ${shuffle("w", "y", 0, 4, 1, 5)};`,
        `s = ${shuffle("r", "s", 0, 1, 7, 5)};`,
        `r = ${shuffle("w", "y", 2, 6, 3, 7)};`,
        `w = ${shuffle("z", "r", 1, 0, 4, 5)};`,
        `w = ${shuffle("w", "w", 0, 2, 3, 1)};`,
        "x = t; y = u; z = s;",
      );
    }
    g("x", "y");
    turn("a", 3);
    turn("c", 1);
    turn("d", 2);
    g("z", "w");
    turn("a", 1);
    turn("c", 3);
    turn("d", 2);
  }
  return `/**
 * Compresses \`blocks\` blocks (at least one) from \`p\`, one after another. Reads the chaining
 * value at \`cv\`, and writes the result to \`out\`. \`length\` is the length of the last block.
 * \`first\` has the flags of the first block, \`others\` those of the others, and \`last\`
 * additional flags of the last block.
 */
export function rowRun(
  p: usize, blocks: u32, cv: usize, counter: u64, length: u32, first: u32, others: u32, last: u32, out: usize,
): void {
  const ZERO = i32x4.splat(0);
  const R16 = ${ROTATE[16]};
  const R8 = ${ROTATE[8]};
  let a = v128.load(cv), b = v128.load(cv, 16), c = ZERO, d = ZERO;
  let m0 = ZERO, m1 = ZERO, m2 = ZERO, m3 = ZERO;
  let x = ZERO, y = ZERO, z = ZERO, w = ZERO, t = ZERO, u = ZERO, s = ZERO, r = ZERO;
  // Row d of a block: counter, length, flags.
  let head = i32x4.replace_lane(i64x2.splat(counter), 2, 64);
  let flags = first;
  while (blocks) {
    blocks -= 1;
    if (!blocks) {
      flags |= last;
      head = i32x4.replace_lane(head, 2, length);
    }
    m0 = v128.load(p); m1 = v128.load(p, 16); m2 = v128.load(p, 32); m3 = v128.load(p, 48);
    p += 64;
    c = i32x4(${IV.slice(0, 4).map(hex).join(", ")});
    d = i32x4.replace_lane(head, 3, flags);
    ${lines.join("\n    ")}
    a = v128.xor(a, c);
    b = v128.xor(b, d);
    flags = others;
  }
  v128.store(out, a);
  v128.store(out, b, 16);
}

/** Copies \`length\` bytes and fills the block with zeros. Reads all 64 bytes at \`from\`. */
export function pad(to: usize, from: usize, length: u32): void {
  const index = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  ${range(4)
    .map(
      (i) =>
        `v128.store(to, v128.and(v128.load(from, ${16 * i}), i8x16.gt_s(i8x16.splat(<i8>length), i8x16.add(index, i8x16.splat(${16 * i})))), ${16 * i});`,
    )
    .join("\n  ")}
}
`;
}
