// Compression of BLAKE3 with SIMD, a different input in each of the four lanes.
import { IV, rounds } from "./blake3.mjs";
import { locals, ROTATE, rotate, shuffle } from "./simd.mjs";
import { hex, range } from "./text.mjs";

// Four G functions of four lanes, interleaved step by step, so that neighbouring instructions don't
// wait for each other.
function halfOfLanes(gs) {
  const lines = [];
  const each = (line) => {
    for (const g of gs) lines.push(line(...g));
  };
  for (const [word, first, second] of [
    [4, 16, 12],
    [5, 8, 7],
  ]) {
    each((...g) => `v${g[0]} = i32x4.add(v${g[0]}, m${g[word]});`);
    each((a, b) => `v${a} = i32x4.add(v${a}, v${b});`);
    each((a, _b, _c, d) => `v${d} = v128.xor(v${d}, v${a});`);
    each((_a, _b, _c, d) => `v${d} = ${rotate(`v${d}`, first)};`);
    each((_a, _b, c, d) => `v${c} = i32x4.add(v${c}, v${d});`);
    each((_a, b, c) => `v${b} = v128.xor(v${b}, v${c});`);
    each((_a, b) => `v${b} = ${rotate(`v${b}`, second)};`);
  }
  return lines;
}

/**
 * The lines that transpose 4 x 4 words. `x` has four expressions; the locals u0..u3 are
 * overwritten.
 */
function transpose(x, assign) {
  return [
    `u0 = ${shuffle(x[0], x[1], 0, 4, 1, 5)}; u1 = ${shuffle(x[2], x[3], 0, 4, 1, 5)};`,
    `u2 = ${shuffle(x[0], x[1], 2, 6, 3, 7)}; u3 = ${shuffle(x[2], x[3], 2, 6, 3, 7)};`,
    assign(0, shuffle("u0", "u1", 0, 1, 4, 5)),
    assign(1, shuffle("u0", "u1", 2, 3, 6, 7)),
    assign(2, shuffle("u2", "u3", 0, 1, 4, 5)),
    assign(3, shuffle("u2", "u3", 2, 3, 6, 7)),
  ];
}

/** The first part of the text of lanes.ts. */
export function lanes() {
  const words = range(4).flatMap((quarter) => [
    ...range(4).map((lane) => `t${lane} = v128.load(p${lane}, ${16 * quarter});`),
    ...transpose(["t0", "t1", "t2", "t3"], (i, x) => `m${4 * quarter + i} = ${x};`),
  ]);
  return `import { LANES, key } from "./layout";

/**
 * Compresses \`blocks\` blocks (at least one) from each of four addresses. LANES holds the
 * parameters. Each is a vector with one 32-bit value per lane:
 *
 * - chaining value (8 vectors, in and out)
 * - counter, low half
 * - counter, high half
 * - length of the last block
 * - flags of the first block
 * - flags of the other blocks
 * - flags added to those of the last block
 */
export function lanesRun(p0: usize, p1: usize, p2: usize, p3: usize, blocks: u32): void {
  const ZERO = i32x4.splat(0);
  const R16 = ${ROTATE[16]};
  const R8 = ${ROTATE[8]};
${locals("v", 16)}${locals("m", 16)}${locals("t", 4)}${locals("u", 4)}
  ${range(8)
    .map((i) => `v${i} = v128.load(LANES, ${16 * i});`)
    .join("\n  ")}
  let flags = v128.load(LANES, 176);
  let length = i32x4.splat(64);
  while (blocks) {
    blocks -= 1;
    if (!blocks) {
      flags = v128.or(flags, v128.load(LANES, 208));
      length = v128.load(LANES, 160);
    }
    ${words.join("\n    ")}
    p0 += 64; p1 += 64; p2 += 64; p3 += 64;
    ${range(4)
      .map((i) => `v${8 + i} = i32x4.splat(${hex(IV[i])});`)
      .join("\n    ")}
    v12 = v128.load(LANES, 128); v13 = v128.load(LANES, 144); v14 = length; v15 = flags;
    ${rounds(halfOfLanes).join("\n    ")}
    ${range(8)
      .map((i) => `v${i} = v128.xor(v${i}, v${i + 8});`)
      .join("\n    ")}
    flags = v128.load(LANES, 192);
  }
  ${range(8)
    .map((i) => `v128.store(LANES, v${i}, ${16 * i});`)
    .join("\n  ")}
}

/** Sets the chaining values of the four lanes to the key. */
export function lanesKey(): void {
  ${range(8)
    .map((i) => `v128.store(LANES, v128.load_splat<u32>(key, ${4 * i}), ${16 * i});`)
    .join("\n  ")}
}

/** Writes the chaining values of the four lanes to four addresses. */
export function lanesOut(o0: usize, o1: usize, o2: usize, o3: usize): void {
  const ZERO = i32x4.splat(0);
${locals("u", 4)}
  ${[0, 4]
    .flatMap((from) =>
      transpose(
        range(4).map((i) => `v128.load(LANES, ${16 * (from + i)})`),
        (lane, x) => `v128.store(o${lane}, ${x}, ${4 * from});`,
      ),
    )
    .join("\n  ")}
}
`;
}
