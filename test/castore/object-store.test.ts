import { describe, expect, test } from "vitest";
import { checkObjectKey, isObjectKey, partOfObject } from "../../src/castore/object-store.ts";

const error = (code: string) => expect.objectContaining({ name: "StoreError", code });

describe("keys", () => {
  test.each(["a", "A-Z_9.x", "chunks/b3/00ab/00ab", "-", "_/-/0", "a..b", "a/b.", "k".repeat(1024), `${"a/".repeat(511)}aa`])(
    "%j is one",
    (key) => {
      expect(isObjectKey(key)).toBe(true);
      expect(() => checkObjectKey(key)).not.toThrow();
    },
  );

  test.each(["", "/", "/a", "a/", "a//b", ".", ".a", "a/.b", "a/..", "a b", "a\n", "\na", "é", "a%", "k".repeat(1025)])(
    "%j is none",
    (key) => {
      expect(isObjectKey(key)).toBe(false);
      expect(() => checkObjectKey(key)).toThrow(error("invalid"));
    },
  );
});

describe("the part of an object of ten bytes", () => {
  const part = (limit: number, range?: { offset: number; length: number }) => partOfObject("key", 10, { limit, range });

  test.each([
    [undefined, 0, 10],
    [{ offset: 0, length: 10 }, 0, 10],
    [{ offset: 3, length: 4 }, 3, 4],
    [{ offset: 9, length: 5 }, 9, 1],
    [{ offset: 10, length: 1 }, 10, 0],
    [{ offset: 50, length: 5 }, 10, 0],
    [{ offset: 4, length: 0 }, 4, 0],
    [{ offset: 4, length: Number.POSITIVE_INFINITY }, 4, 6],
  ])("by the range %j", (range, offset, length) => {
    expect(part(10, range)).toEqual({ offset, length });
    expect(part(length, range)).toEqual({ offset, length });
    if (length > 0) expect(() => part(length - 1, range)).toThrow(error("corrupt"));
  });

  test.each([
    { offset: -1, length: 1 },
    { offset: 0, length: -1 },
    { offset: 0.5, length: 1 },
    { offset: Number.POSITIVE_INFINITY, length: 1 },
    { offset: 0, length: Number.NaN },
  ])("is refused by the range %j", (range) => {
    expect(() => part(10, range)).toThrow(error("invalid"));
  });
});
