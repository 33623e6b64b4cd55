// SHA-256's compression, unrolled. The order of instructions is decided here. Each of the following
// was measured against hash-wasm in Chromium, Firefox and Node on Zen 3:
//
// - The rounds take most of the time, and they are scalar. The schedule has four words per vector.
//   Its instructions stand between those of the rounds that come 16 words before.
// - W + K goes through memory at a fixed address. A moving address (four blocks per call, one in
//   each lane) takes the register that the rounds lack: 20 % slower.
// - Rotations side by side are faster than nested rotations, although nested ones are fewer: the
//   rounds wait for each other.
// - The exclusive-or of a and b is the next round's exclusive-or of b and c.
import { hex, range } from "./text.mjs";

/** Address of W + K: 64 words. */
const W = 512;
const STATE = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** The first 32 bits of the fraction of the prime's cube root. */
function constant(prime) {
  const cube = BigInt(prime) << 96n;
  let root = 0n;
  for (let bit = 1n << 36n; bit; bit >>= 1n) if ((root + bit) ** 3n <= cube) root += bit;
  return Number(root & 0xffffffffn);
}

const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
const table = `/** The constants of the rounds. */
const K: usize = memory.data<u32>([
${range(8)
  .map(
    (row) =>
      `  ${primes
        .slice(8 * row, 8 * row + 8)
        .map((prime) => hex(constant(prime)))
        .join(", ")},`,
  )
  .join("\n")}
], 16);
`;

/** The lines of round `t`. The names rotate instead of the values. */
function round(t, word) {
  const [a, b, , d, e, f, g, h] = range(8).map((i) => STATE[(i + 7 * t) % 8]);
  const [ab, bc] = t % 2 ? ["y", "x"] : ["x", "y"];
  const sigma = (v, first, second, third) => [
    `s = rotr(${v}, ${first});`,
    `t = rotr(${v}, ${second});`,
    "s = s ^ t;",
    `t = rotr(${v}, ${third});`,
    "s = s ^ t;",
    `${h} = ${h} + s;`,
  ];
  return [
    `${h} = ${h} + ${word};`,
    `s = ${f} ^ ${g};`,
    `s = s & ${e};`,
    `s = s ^ ${g};`,
    `${h} = ${h} + s;`,
    ...sigma(e, 6, 11, 25),
    `${d} = ${d} + ${h};`,
    `${ab} = ${a} ^ ${b};`,
    `s = ${ab} & ${bc};`,
    `s = s ^ ${b};`,
    `${h} = ${h} + s;`,
    ...sigma(a, 2, 13, 22),
  ];
}

/**
 * The lines that load four words of the message, and store their sums with the constants to memory.
 */
const words = (v, i) => [
  `${v} = v128.load(p, ${16 * i});`,
  `${v} = i8x16.swizzle(${v}, SWAP);`,
  `q = i32x4.add(${v}, v128.load(K, ${16 * i}));`,
  `v128.store(${W}, q, ${16 * i});`,
];

/**
 * The lines that replace the oldest of 16 words, `t` to `t + 3`. The steps that need the first two
 * words come last.
 */
function schedule([oldest, second, third, newest], t) {
  const shuffle = (x, y, ...lanes) => `v128.shuffle<u32>(${x}, ${y}, ${lanes.join(", ")})`;
  // The rotation works on 64-bit lanes that hold the word twice.
  const two = (from, lanes, place) => [
    `q = ${shuffle(from, from, ...lanes)};`,
    "u = i64x2.shr_u(q, 17);",
    "v = i64x2.shr_u(q, 19);",
    "q = i32x4.shr_u(q, 10);",
    "u = v128.xor(u, v);",
    "q = v128.xor(q, u);",
    `q = i8x16.swizzle(q, ${place});`,
    `${oldest} = i32x4.add(${oldest}, q);`,
  ];
  return [
    `r = ${shuffle(oldest, second, 1, 2, 3, 4)};`,
    `q = ${shuffle(third, newest, 1, 2, 3, 4)};`,
    "u = i32x4.shr_u(r, 7);",
    "v = i32x4.shl(r, 25);",
    `${oldest} = i32x4.add(${oldest}, q);`,
    "u = v128.xor(u, v);",
    "v = i32x4.shr_u(r, 18);",
    "q = i32x4.shl(r, 14);",
    "r = i32x4.shr_u(r, 3);",
    "v = v128.xor(v, q);",
    "r = v128.xor(r, u);",
    "r = v128.xor(r, v);",
    `${oldest} = i32x4.add(${oldest}, r);`,
    ...two(newest, [2, 2, 3, 3], "LOW"),
    ...two(oldest, [0, 0, 1, 1], "HIGH"),
    `q = i32x4.add(${oldest}, v128.load(K, ${4 * t}));`,
    `v128.store(${W}, q, ${4 * t});`,
  ];
}

/** Merges both lists, with the second list's lines spread evenly between those of the first. */
const mix = (lines, others) =>
  lines.flatMap((line, i) => [
    line,
    ...others.slice(Math.round((i * others.length) / lines.length), Math.round(((i + 1) * others.length) / lines.length)),
  ]);

const indent = (lines, by) => lines.join(`\n${" ".repeat(by)}`);
const vectors = (names) => `let ${names.map((name) => `${name} = ZERO`).join(", ")};`;
const DOCUMENTATION = "/** Compresses `blocks` blocks (at least one) at `p` into the state at `at`: eight words. */\n";
const SIGNATURE = "export function compress(at: usize, p: usize, blocks: u32): void {";
const LOCALS = indent(
  [
    "let x: u32 = 0, y: u32 = 0, s: u32 = 0, t: u32 = 0;",
    `let ${STATE.map((v, i) => `${v} = load<u32>(at, ${4 * i})`).join(", ")};`,
  ],
  2,
);
const ADD = STATE.map((v, i) => `${v} += load<u32>(at, ${4 * i}); store<u32>(at, ${v}, ${4 * i});`);

/** The text of sha256-simd.ts. */
export function sha256Simd() {
  const w = ["w0", "w1", "w2", "w3"];
  const body = range(16).flatMap((i) => {
    const names = range(4).map((j) => w[(i + j) % 4]);
    const rounds = range(4).flatMap((j) => round(4 * i + j, `load<u32>(${W + 4 * (4 * i + j)})`));
    return mix(rounds, i < 12 ? schedule(names, 16 + 4 * i) : words(names[0], i - 12));
  });
  return `${table}
${DOCUMENTATION}${SIGNATURE}
  const ZERO = i32x4.splat(0);
  const SWAP = i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
  const LOW = i8x16(0, 1, 2, 3, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, -1, -1);
  const HIGH = i8x16(-1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 3, 8, 9, 10, 11);
  ${vectors([...w, "q", "r", "u", "v"])}
  ${LOCALS}
  ${indent(
    range(4).flatMap((i) => words(w[i], i)),
    2,
  )}
  while (blocks) {
    blocks -= 1;
    // The last rounds load the next block. After the last block they load it again.
    p += blocks ? 64 : 0;
    y = b ^ c;
    ${indent(body, 4)}
    ${indent(ADD, 4)}
  }
}
`;
}

/** The text of sha256-scalar.ts. */
export function sha256Scalar() {
  const word = (i) => `load<u32>(w, ${W + 4 * i})`;
  const sigma = (v, first, second, third) => `(rotr(${v}, ${first}) ^ rotr(${v}, ${second}) ^ (${v} >> ${third}))`;
  const next = (i) => [
    `x = ${word(i + 1)};`,
    `y = ${word(i + 14)};`,
    `t = t + ${word(i + 9)} + ${sigma("x", 7, 18, 3)} + ${sigma("y", 17, 19, 10)};`,
    `store<u32>(w, t, ${W + 4 * (i + 16)});`,
    "t = x;",
  ];
  return `${table}
${DOCUMENTATION}${SIGNATURE}
  ${LOCALS}
  while (blocks) {
    blocks -= 1;
    ${indent(
      range(16).map((i) => `store<u32>(${W + 4 * i}, bswap(load<u32>(p, ${4 * i})));`),
      4,
    )}
    p += 64;
    for (let w: usize = 0; w < 192; w += 64) {
      t = ${word(0)};
      ${indent(range(16).flatMap(next), 6)}
    }
    y = b ^ c;
    for (let w: usize = 0; w < 256; w += 64) {
      const k = K + w;
      ${indent(
        range(16).flatMap((i) => round(i, `(${word(i)} + load<u32>(k, ${4 * i}))`)),
        6,
      )}
    }
    ${indent(ADD, 4)}
  }
}
`;
}
