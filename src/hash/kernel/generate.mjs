// Writes the unrolled parts of the kernel. `generate` makes assembly/lanes.ts (four-lane and
// one-lane SIMD compression), assembly/scalar.ts (the same in 32-bit integers) and
// assembly/constants.ts. Engines keep the order of instructions. So the order is decided here, and
// no optimizer may change it afterwards (see build.mjs).
import { writeFile } from "node:fs/promises";

const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const COLUMNS = [0, 1, 2, 3].map((i) => [i, 4 + i, 8 + i, 12 + i]);
const DIAGONALS = [0, 1, 2, 3].map((i) => [i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4)]);
const HEADER = "// Made by generate.mjs. Don't edit.\n\n";

const range = (n) => [...Array(n).keys()];
const hex = (x) => `0x${(x >>> 0).toString(16).padStart(8, "0")}`;
const ROTATE = {
  16: "i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)",
  8: "i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)",
};
const locals = (prefix, n) =>
  `  let ${range(n)
    .map((i) => `${prefix}${i} = ZERO`)
    .join(", ")};\n`;

/** Rotates each 32-bit lane to the right. */
const rotate = (x, n) =>
  n % 8 === 0 ? `i8x16.swizzle(${x}, R${n})` : `v128.or(i32x4.shr_u(${x}, ${n}), i32x4.shl(${x}, ${32 - n}))`;

/** The lines of seven rounds. `half(quads, words)` returns the lines of four G functions. */
function rounds(half) {
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

const shuffle = (a, b, ...lanes) => `v128.shuffle<u32>(${a}, ${b}, ${lanes.join(", ")})`;

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

function lanes() {
  const words = range(4).flatMap((quarter) => [
    ...range(4).map((lane) => `t${lane} = v128.load(p${lane}, ${16 * quarter});`),
    ...transpose(["t0", "t1", "t2", "t3"], (i, x) => `m${4 * quarter + i} = ${x};`),
  ]);
  return `${HEADER}import { LANES, key } from "./layout";

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

${oneLane()}`;
}

// One lane: the four rows of the state are vectors. Between the halves of a round the rows a, c and
// d are rotated. Row b is not, because everything waits for it. So the words of the diagonals come
// in the order of the columns of b.
function oneLane() {
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

function scalar() {
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
  return `${HEADER}/** Like \`rowRun\` in lanes.ts, without SIMD. */
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

function constants() {
  const sines = range(64).map((i) => hex(Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1)))));
  const rows = range(8).map((i) => `  ${sines.slice(8 * i, 8 * i + 8).join(", ")},`);
  return `${HEADER}/** BLAKE3's initial values. */
export const IV: usize = memory.data<u32>([${IV.map(hex).join(", ")}]);

/** MD5's constants: the fractions of sines. */
export const SINES: usize = memory.data<u32>([
${rows.join("\n")}
]);
`;
}

/** Writes the three files into assembly/. */
export async function generate() {
  const folder = new URL("assembly/", import.meta.url);
  for (const [name, text] of Object.entries({ lanes: lanes(), scalar: scalar(), constants: constants() })) {
    await writeFile(new URL(`${name}.ts`, folder), text);
  }
}
