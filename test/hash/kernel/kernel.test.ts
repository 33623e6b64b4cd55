import { readFileSync } from "node:fs";
import { createBLAKE3 } from "hash-wasm";
import { describe, expect, test, vi } from "vitest";
import { concatBytes, equalBytes, toHex, utf8 } from "../../../src/bytes.ts";
import { Kernel } from "../../../src/hash/kernel/kernel.ts";
import { GROUP_SIZE } from "../../../src/hash/kernel/sizes.ts";
import { SubtreeJoiner } from "../../../src/hash/subtree-joiner.ts";
import { pseudoRandom } from "../../conformance/content.ts";
import { cut as referenceCut } from "../fastcdc-reference.ts";

/** Vectors that make-blake3-vectors.sh made. */
const { key, vectors }: { key: string; vectors: { length: number; hash: string; keyed: string }[] } = JSON.parse(
  readFileSync(new URL("../blake3-vectors.json", import.meta.url), "utf8"),
);

const reference = await createBLAKE3();

function expected(bytes: Uint8Array): string {
  return reference.init().update(bytes).digest("hex");
}

/**
 * Lengths around every border: of blocks, chunks, groups, the kernel's pieces, and larger powers of
 * two.
 */
const LENGTHS = [
  0, 1, 2, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4095, 4096, 4097, 5120, 5121, 6144, 7168,
  8191, 8192, 8193, 16_383, 16_384, 16_385, 31_744, 32_768, 65_535, 65_536, 65_537, 100_000, 131_072, 262_144, 262_145, 1_048_576,
  1_048_577, 3_000_000,
];

/** The input of BLAKE3's published test vectors: byte i is i modulo 251. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251);
}

describe.each([
  ["SIMD", true],
  ["scalar", false],
])("the %s kernel", (_, simd) => {
  const kernel = Kernel.create({ simd });

  test.each(LENGTHS)("BLAKE3 of %d bytes", (length) => {
    const bytes = pattern(length);
    expect(toHex(kernel.blake3(bytes))).toBe(expected(bytes));
    const stream = kernel.stream();
    // The lengths of the pieces are unrelated to the borders.
    for (let at = 0, size = 1; at < length; at += size, size = (size * 7 + 13) % 100_003)
      stream.update(bytes.subarray(at, at + size));
    expect(toHex(stream.digest())).toBe(expected(bytes));
    stream.free();
  });

  test.each(vectors)("BLAKE3 of $length bytes is the hash of b3sum, with a key and without", ({ length, hash, keyed }) => {
    const bytes = pattern(length);
    expect(toHex(kernel.blake3(bytes))).toBe(hash);
    expect(toHex(kernel.blake3Many([bytes, bytes])[1] ?? new Uint8Array(0))).toBe(hash);
    const stream = kernel.stream({ key: utf8(key) });
    expect(toHex(stream.update(bytes).digest())).toBe(keyed);
    stream.free();
  });

  test("hashes many blobs of various lengths at once", () => {
    const blobs = Array.from({ length: 3000 }, (_, i) => pseudoRandom((i * 7919) % 5000, i + 1));
    blobs.push(pseudoRandom(200_000, 3), new Uint8Array(0), pseudoRandom(64, 5));
    const digests = kernel.blake3Many(blobs);
    for (const [i, blob] of blobs.entries()) expect(toHex(digests[i] ?? new Uint8Array(0))).toBe(expected(blob));
  });

  test("concurrent streams don't mix", () => {
    const streams = Array.from({ length: 50 }, () => kernel.stream());
    const whole = pseudoRandom(50 * 10_000, 9);
    for (let at = 0; at < 10_000; at += 777) {
      for (const [i, stream] of streams.entries()) {
        stream.update(whole.subarray(10_000 * i + at, 10_000 * i + Math.min(at + 777, 10_000)));
      }
    }
    for (const [i, stream] of streams.entries()) {
      expect(toHex(stream.digest())).toBe(expected(whole.subarray(10_000 * i, 10_000 * (i + 1))));
      stream.free();
    }
  });

  test.each([2, 3, 5, 8])("%d subtrees combine into the whole", (count) => {
    const size = 64 * 1024;
    const whole = pseudoRandom(size * (count - 1) + 12_345, count);
    const values = Array.from({ length: count }, (_, i) =>
      kernel.subtree(whole.subarray(size * i, size * (i + 1)), (size / 1024) * i),
    );
    const joiner = new SubtreeJoiner();
    for (const value of values) joiner.push(value);
    expect(toHex(joiner.digest())).toBe(expected(whole));
  });

  test("chunk counters have 64 bits", () => {
    const bytes = pseudoRandom(4096, 1);
    expect(equalBytes(kernel.subtree(bytes, 0), kernel.subtree(bytes, 2n ** 32n))).toBe(false);
    const parts = [0n, 1n, 2n, 3n].map((i) =>
      kernel.subtree(bytes.subarray(Number(i) * 1024, Number(i + 1n) * 1024), 2n ** 40n + i),
    );
    const [a, b, c, d] = parts as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    expect(kernel.parent(kernel.parent(a, b, false), kernel.parent(c, d, false), false)).toEqual(kernel.subtree(bytes, 2n ** 40n));
  });

  test.each([1, GROUP_SIZE, GROUP_SIZE + 1, 5 * GROUP_SIZE + 7, 1_000_003])(
    "the outboard of %d bytes leads to the digest",
    (length) => {
      const bytes = pseudoRandom(length, 11);
      const { digest, nodes } = kernel.outboard(bytes);
      expect(toHex(digest)).toBe(expected(bytes));
      const groups = Math.ceil(length / GROUP_SIZE);
      expect(nodes.length).toBe(64 * (groups - 1));
      // The nodes are in post-order: the two halves of a node are the topmost values of the stack.
      // Leaves are groups.
      let node = 0;
      const value = (from: number, count: number, isRoot: boolean): Uint8Array => {
        if (count === 1)
          return kernel.subtree(bytes.subarray(from * GROUP_SIZE, (from + 1) * GROUP_SIZE), from * (GROUP_SIZE / 1024));
        const left = 2 ** (Math.ceil(Math.log2(count)) - 1);
        const halves = [value(from, left, false), value(from + left, count - left, false)] as const;
        const stored = nodes.subarray(64 * node, 64 * ++node);
        expect([...stored]).toEqual([...halves[0], ...halves[1]]);
        return kernel.parent(...halves, isRoot);
      };
      if (groups > 1) expect(toHex(value(0, groups, true))).toBe(expected(bytes));
    },
  );

  test("cuts where the reference cuts", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const bytes = pseudoRandom(1_500_000 + 12_345 * seed, seed);
      for (let start = 0; start < bytes.length; ) {
        const length = kernel.cut(bytes, start);
        expect(length).toBe(referenceCut(bytes, start, bytes.length));
        start += length;
      }
    }
  });

  test.each([1000, 131_073, 3_000_000])("one pass over %d bytes cuts, and hashes chunks and blob", (length) => {
    const bytes = pseudoRandom(length, 21);
    const nodes: Uint8Array[] = [];
    const pass = kernel.pass({ onNodes: (some) => nodes.push(some.slice()) });
    const chunks = [];
    for (let at = 0; at < length; at += 99_991) chunks.push(...pass.update(bytes.subarray(at, at + 99_991)));
    const end = pass.end();
    pass.free();
    chunks.push(...end.chunks);
    let start = 0;
    for (const chunk of chunks) {
      expect(chunk.length).toBe(referenceCut(bytes, start, length));
      expect(toHex(chunk.digest)).toBe(expected(bytes.subarray(start, start + chunk.length)));
      start += chunk.length;
    }
    expect(start).toBe(length);
    expect(toHex(end.digest)).toBe(expected(bytes));
    expect(concatBytes(nodes)).toEqual(kernel.outboard(bytes).nodes);
  });

  test("rejects a detached buffer and an ended stream, and still works afterwards", () => {
    const bytes = new Uint8Array(1000);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    expect(() => kernel.blake3(bytes)).toThrow(TypeError);
    const stream = kernel.stream();
    stream.digest();
    expect(() => stream.update(pattern(1))).toThrow(TypeError);
    stream.free();
    expect(toHex(kernel.blake3(pattern(5)))).toBe(expected(pattern(5)));
  });

  test("blobs share batches up to a number, a size and a total", () => {
    const all = pseudoRandom(65_537, 4);
    const of = (length: number) => all.subarray(0, length);
    for (const blobs of [
      [of(65_536), of(65_537), of(65_536)],
      Array.from({ length: 5 }, () => of(65_536)),
      [...Array.from({ length: 4 }, () => of(65_536)), of(1)],
      Array.from({ length: 1024 }, (_, i) => of(i % 3)),
      Array.from({ length: 1025 }, (_, i) => of(i % 3)),
      [],
    ])
      expect(kernel.blake3Many(blobs).map(toHex)).toEqual(blobs.map(expected));
  });

  test("nodes come after each 2 MiB, in updates of any length", () => {
    const bytes = pseudoRandom(5_000_000, 6);
    const { nodes } = kernel.outboard(bytes);
    for (const size of [bytes.length, 2_097_152, 4_194_304, 2_097_153]) {
      const found: Uint8Array[] = [];
      const stream = kernel.stream({ onNodes: (some) => found.push(some.slice()) });
      for (let at = 0; at < bytes.length; at += size) stream.update(bytes.subarray(at, at + size));
      stream.digest();
      stream.free();
      expect(Buffer.compare(concatBytes(found), nodes)).toBe(0);
      expect(Math.max(...found.map(({ length }) => length))).toBeLessThanOrEqual(12_288);
    }
  });

  test("a part of an outboard is a subtree", () => {
    const bytes = pseudoRandom(8 * GROUP_SIZE, 8);
    const half = bytes.subarray(4 * GROUP_SIZE);
    const { digest, nodes } = kernel.outboard(half, { chunk: 64, root: false });
    expect(digest).toEqual(kernel.subtree(half, 64));
    // The nodes of both halves come before the root.
    expect(kernel.outboard(bytes).nodes.slice(3 * 64, 6 * 64)).toEqual(nodes);
  });

  test("the place of a cut depends only on the bytes between its limits", () => {
    const bytes = pseudoRandom(1_200_000, 2);
    const first = kernel.cut(bytes);
    for (const end of [first, first + 1, 700_000]) expect(kernel.cut(bytes, 0, end)).toBe(first);
    expect(kernel.cut(bytes, 0, first - 1)).toBe(first - 1);
    for (const length of [0, 1, 131_071, 131_072]) expect(kernel.cut(bytes, 5, 5 + length)).toBe(length);
    // Zeros have no place at which to cut.
    const zeros = new Uint8Array(600_000);
    expect([kernel.cut(zeros), kernel.cut(zeros, 0, 524_288), kernel.cut(zeros, 0, 524_287)]).toEqual([524_288, 524_288, 524_287]);
    expect(kernel.cutAll(zeros)).toEqual([524_288, 75_712]);
    expect(kernel.cutAll(new Uint8Array(0))).toEqual([]);
  });
});

describe("the memory of a kernel", () => {
  /** Opens streams or passes until there is no room. */
  function fill<T>(open: () => T): T[] {
    const opened: T[] = [];
    for (;;) {
      try {
        opened.push(open());
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return opened;
      }
    }
  }
  const MIB = 1024 * 1024;

  test("has a limit, which open streams share, and freed ones don't need", () => {
    const kernel = Kernel.create({ maxMemory: 3 * MIB });
    const bytes = pattern(100_000);
    const streams = fill(() => kernel.stream());
    expect(streams.length).toBeGreaterThan(100);
    expect(() => kernel.pass()).toThrow(RangeError);
    for (const stream of streams) stream.update(bytes);
    for (const stream of streams) expect(toHex(stream.digest())).toBe(expected(bytes));
    for (const stream of streams.slice(0, 10)) stream.free();
    expect(fill(() => kernel.stream()).length).toBe(10);
    expect(toHex(kernel.blake3(bytes))).toBe(expected(bytes));
  });

  test("is shared by passes, and grows up to its limit", () => {
    const [three = 0, four = 0, five = 0] = [3, 4, 5].map((size) => {
      const kernel = Kernel.create({ maxMemory: size * MIB });
      const passes = fill(() => kernel.pass());
      for (const pass of passes) pass.update(pattern(1000));
      for (const pass of passes) expect(toHex(pass.end().digest)).toBe(expected(pattern(1000)));
      for (const pass of passes) pass.free();
      expect(fill(() => kernel.pass()).length).toBe(passes.length);
      return passes.length;
    });
    // Each further MiB has room for as many more, of some 13 KiB each.
    expect(four - three).toBeGreaterThan(75);
    expect(Math.abs(five - four - (four - three))).toBeLessThanOrEqual(1);
  });
});

test("a key has 32 bytes", () => {
  const kernel = Kernel.create();
  for (const length of [0, 31, 33]) expect(() => kernel.stream({ key: new Uint8Array(length) })).toThrow(RangeError);
});

test("a kernel uses SIMD if the engine has it, unless the caller refuses", () => {
  expect([Kernel.create().simd, Kernel.create({ simd: true }).simd, Kernel.create({ simd: false }).simd]).toEqual([
    true,
    true,
    false,
  ]);
  const validate = vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
  try {
    const kernel = Kernel.create();
    expect(kernel.simd).toBe(false);
    expect(toHex(kernel.blake3(pattern(5000)))).toBe(expected(pattern(5000)));
  } finally {
    validate.mockRestore();
  }
});

test("warming up changes no result", () => {
  const kernel = Kernel.create();
  kernel.warm();
  expect(toHex(kernel.blake3(pattern(70_000)))).toBe(expected(pattern(70_000)));
});
