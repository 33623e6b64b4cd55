import { describe, expect, test, vi } from "vitest";
import { Blake3Stream, BlobPass } from "../../../src/hash/kernel/streams.ts";

const ended = TypeError;

function slot() {
  return {
    update: vi.fn(() => []),
    end: vi.fn((root?: boolean) => Uint8Array.of(Number(root))),
    free: vi.fn(),
  };
}

describe("a hash stream", () => {
  test("ends as the root or as a subtree", () => {
    expect(new Blake3Stream(slot()).digest()).toEqual(Uint8Array.of(1));
    expect(new Blake3Stream(slot()).value()).toEqual(Uint8Array.of(0));
  });

  test.each(["digest", "value", "free"] as const)("can't be used after %s, so that its slot serves no two streams", (end) => {
    const its = slot();
    const stream = new Blake3Stream(its);
    expect(stream.update(Uint8Array.of(1))).toBe(stream);
    stream[end]();
    for (const use of [() => stream.update(new Uint8Array(0)), () => stream.digest(), () => stream.value()])
      expect(use).toThrow(ended);
    expect(its.update).toHaveBeenCalledTimes(1);
    expect(its.end).toHaveBeenCalledTimes(end === "free" ? 0 : 1);
  });

  test("frees its slot once", () => {
    const its = slot();
    const stream = new Blake3Stream(its);
    stream.digest();
    expect(its.free).not.toHaveBeenCalled();
    stream.free();
    stream.free();
    expect(its.free).toHaveBeenCalledTimes(1);
  });
});

describe("a pass", () => {
  const passSlot = () => ({ ...slot(), end: vi.fn(() => ({ chunks: [], digest: new Uint8Array(32) })) });

  test.each(["end", "free"] as const)("can't be used after %s", (end) => {
    const its = passSlot();
    const pass = new BlobPass(its);
    expect(pass.update(Uint8Array.of(1))).toEqual([]);
    pass[end]();
    for (const use of [() => pass.update(new Uint8Array(0)), () => pass.end()]) expect(use).toThrow(ended);
    expect(its.update).toHaveBeenCalledTimes(1);
  });

  test("frees its slot once", () => {
    const its = passSlot();
    const pass = new BlobPass(its);
    pass.end();
    pass.free();
    pass.free();
    expect(its.free).toHaveBeenCalledTimes(1);
  });
});
