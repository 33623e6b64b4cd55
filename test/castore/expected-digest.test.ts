import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf, formatDigest } from "../../src/castore/digest.ts";
import { checkExpected } from "../../src/castore/expected-digest.ts";

const [ours, other] = [digestOf(utf8("ours")), digestOf(utf8("other"))];

test("accepts the expected digest, and any digest if none is expected", () => {
  expect(() => checkExpected(ours, digestOf(utf8("ours")))).not.toThrow();
  expect(() => checkExpected(ours, undefined)).not.toThrow();
});

test("refuses another digest, and names both", () => {
  expect(() => checkExpected(ours, other)).toThrow(expect.objectContaining({ name: "StoreError", code: "corrupt" }));
  expect(() => checkExpected(ours, other)).toThrow(formatDigest(other));
  expect(() => checkExpected(ours, other)).toThrow(formatDigest(ours));
});
