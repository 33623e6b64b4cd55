import { describe, expect, test } from "vitest";
import { MIN_BUFFER, RecycledBuffers } from "../../src/hash/recycled-buffers.ts";

const KIB = 1024;

describe("a new buffer", () => {
  test("has a power of two, and at least 64 KiB", () => {
    const buffers = new RecycledBuffers(0);
    const sizes = [0, 1, MIN_BUFFER, MIN_BUFFER + 1, 128 * KIB, 128 * KIB + 1].map((size) => buffers.take(size).byteLength);
    expect(sizes).toEqual([64, 64, 64, 128, 128, 256].map((size) => size * KIB));
  });
});

describe("a returned buffer", () => {
  /**
   * Returns buffers of some sizes in KiB. `taken` takes a buffer for a message, and returns its
   * size if it is one of these.
   */
  function returned(limit: number, ...sizes: number[]) {
    const buffers = new RecycledBuffers(limit * KIB);
    const all = sizes.map((size) => new ArrayBuffer(size * KIB));
    for (const buffer of all) buffers.give(buffer);
    const taken = (size: number): number | undefined => {
      const buffer = buffers.take(size * KIB);
      return all.includes(buffer) ? buffer.byteLength / KIB : undefined;
    };
    return { buffers, taken };
  }

  test("is given once", () => {
    const { taken } = returned(1000, 64);
    expect([taken(64), taken(64)]).toEqual([64, undefined]);
  });

  test("is the smallest that is large enough", () => {
    const { taken } = returned(1000, 256, 64, 128);
    expect([taken(65), taken(65), taken(65)]).toEqual([128, 256, undefined]);
    expect(taken(64)).toBe(64);
  });

  test("is not given to a message that is much smaller", () => {
    // For up to 64 KiB, a buffer has at most 256 KiB.
    expect(returned(10_000, 256).taken(1)).toBe(256);
    expect(returned(10_000, 257).taken(1)).toBe(undefined);
    expect(returned(10_000, 400).taken(100)).toBe(400);
    expect(returned(10_000, 401).taken(100)).toBe(undefined);
  });

  test("is kept up to the limit: the oldest is dropped first", () => {
    const { taken } = returned(300, 64, 100, 128, 72);
    expect([taken(73), taken(128), taken(64), taken(64)]).toEqual([100, 128, 72, undefined]);
  });

  test("that exceeds the limit by itself drops no other", () => {
    const { taken } = returned(200, 128, 201);
    expect([taken(201), taken(128)]).toEqual([undefined, 128]);
    expect(returned(200, 128, 200).taken(128)).toBe(200);
  });

  test("makes room again after it is taken", () => {
    const { buffers, taken } = returned(200, 128, 64);
    expect(taken(128)).toBe(128);
    buffers.give(new ArrayBuffer(130 * KIB));
    expect(taken(64)).toBe(64);
  });

  test("may be missing", () => {
    const { buffers, taken } = returned(200, 64);
    buffers.give(undefined);
    expect(taken(64)).toBe(64);
  });
});
