import { describe, expect, test } from "vitest";
import { checkAttached, checkGiven } from "../../src/hash/attached.ts";
import { codeOf } from "./bao-vectors.ts";

function transferred(length: number): ArrayBuffer {
  const buffer = new ArrayBuffer(length);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

describe("bytes", () => {
  test("of a buffer that is here are accepted, also if there are none", () => {
    for (const bytes of [new Uint8Array(1), new Uint8Array(0), new Uint8Array(5).subarray(5)])
      expect(codeOf(() => checkAttached(bytes))).toBe(undefined);
  });

  test("of a buffer that was transferred are refused, also if there were none", () => {
    for (const length of [100, 0]) {
      const bytes = new Uint8Array(length);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      expect(codeOf(() => checkAttached(bytes))).toBe("invalid");
    }
  });
});

describe("a buffer", () => {
  test("must have the bytes that are to be read", () => {
    for (const length of [0, 9, 10]) expect(codeOf(() => checkGiven(new ArrayBuffer(10), length))).toBe(undefined);
    expect(codeOf(() => checkGiven(new ArrayBuffer(10), 11))).toBe("invalid");
  });

  test("that was transferred has none", () => {
    expect(codeOf(() => checkGiven(transferred(10), 1))).toBe("invalid");
  });
});
