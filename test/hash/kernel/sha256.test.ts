import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { toHex } from "../../../src/bytes.ts";
import { Sha256Kernel } from "../../../src/hash/kernel/sha256.ts";
import { pseudoRandom } from "../../conformance/content.ts";

function expected(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Pseudo-random lengths below `most`. */
function* randomLengths(seed: number, most: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield Math.floor((state / 2 ** 32) * most);
  }
}

describe.each([
  ["SIMD", true],
  ["scalar", false],
])("SHA-256, %s", (_, simd) => {
  const kernel = Sha256Kernel.create({ simd });
  const whole = pseudoRandom(300, 5);

  test("uses SIMD if and only if requested", () => {
    expect(kernel.simd).toBe(simd);
  });

  test("of all lengths up to 300 bytes, in one piece and in two", () => {
    for (let length = 0; length <= whole.length; length++) {
      const bytes = whole.subarray(0, length);
      expect(toHex(kernel.stream().update(bytes).digest()), `${length} bytes`).toBe(expected(bytes));
      const at = Math.floor((length * 5) / 13);
      const split = kernel.stream().update(bytes.subarray(0, at)).update(bytes.subarray(at));
      expect(toHex(split.digest()), `${length} bytes, split at ${at}`).toBe(expected(bytes));
    }
  });

  test("of a message split anywhere", () => {
    const bytes = whole.subarray(0, 200);
    for (let at = 0; at <= 200; at++) {
      const stream = kernel.stream().update(bytes.subarray(0, at)).update(bytes.subarray(at));
      expect(toHex(stream.digest())).toBe(expected(bytes));
    }
  });

  test.each([65_471, 65_472, 65_535, 65_536, 65_537, 131_072, 131_135, 1_000_003])(
    "of %d bytes, around the arena's size",
    (length) => {
      const bytes = pseudoRandom(length, length);
      expect(toHex(kernel.stream().update(bytes).digest())).toBe(expected(bytes));
      for (const held of [1, 63]) {
        const stream = kernel.stream().update(bytes.subarray(0, held)).update(bytes.subarray(held));
        expect(toHex(stream.digest())).toBe(expected(bytes));
      }
    },
  );

  test.each([100, 1000, 200_000])("in pieces of random lengths below %d", (most) => {
    const bytes = pseudoRandom(20 * most, most);
    for (let seed = 1; seed <= 10; seed++) {
      const stream = kernel.stream();
      let at = 0;
      for (const length of randomLengths(seed, most)) {
        stream.update(bytes.subarray(at, at + length));
        at += length;
        if (at >= bytes.length) break;
      }
      expect(toHex(stream.digest())).toBe(expected(bytes));
    }
  });

  test("of concurrent streams, which don't mix", () => {
    const contents = Array.from({ length: 200 }, (_, i) => pseudoRandom(1000 + 37 * i, i + 1));
    const streams = contents.map(() => kernel.stream());
    for (let at = 0; at < 9000; at += 333) {
      for (const [i, stream] of streams.entries()) stream.update((contents[i] as Uint8Array).subarray(at, at + 333));
    }
    expect(streams.map((stream) => toHex(stream.digest()))).toEqual(contents.map(expected));
  });

  test("rejects a detached buffer and an ended stream, and still works afterwards", () => {
    const bytes = new Uint8Array(1000);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    const stream = kernel.stream();
    expect(() => stream.update(bytes)).toThrow(expect.objectContaining({ code: "invalid" }));
    expect(toHex(stream.digest())).toBe(expected(new Uint8Array(0)));
    expect(() => stream.update(whole)).toThrow(TypeError);
    expect(() => stream.digest()).toThrow(TypeError);
    expect(toHex(kernel.stream().update(whole).digest())).toBe(expected(whole));
  });
});

test("SHA-256 of more than 2^32 bits", () => {
  const stream = Sha256Kernel.create().stream();
  const peer = createHash("sha256");
  const zeros = new Uint8Array(8 * 1024 * 1024);
  for (let i = 0; i < 64; i++) {
    stream.update(zeros);
    peer.update(zeros);
  }
  const rest = pseudoRandom(123_457, 3);
  expect(toHex(stream.update(rest).digest())).toBe(peer.update(rest).digest("hex"));
}, 60_000);
