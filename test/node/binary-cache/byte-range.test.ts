import { expect, test } from "vitest";
import { parseByteRange } from "../../../src/node/binary-cache/byte-range.ts";

test.each<[string | undefined, ReturnType<typeof parseByteRange>]>([
  ["bytes=0-0", { offset: 0, length: 1 }],
  ["bytes=2-5", { offset: 2, length: 4 }],
  ["BYTES= 2-5 ", { offset: 2, length: 4 }],
  ["bytes=9-9", { offset: 9, length: 1 }],
  ["bytes=9-", { offset: 9, length: 1 }],
  ["bytes=0-", { offset: 0, length: 10 }],
  ["bytes=5-999999999999999", { offset: 5, length: 5 }],
  ["bytes=-1", { offset: 9, length: 1 }],
  ["bytes=-10", { offset: 0, length: 10 }],
  ["bytes=-11", { offset: 0, length: 10 }],
  ["bytes=10-", "unsatisfiable"],
  ["bytes=10-10", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  // These headers are ignored.
  [undefined, undefined],
  ["", undefined],
  ["bytes=-", undefined],
  ["bytes=3-2", undefined],
  ["bytes=0-1,3-4", undefined],
  ["lines=1-2", undefined],
  ["bytes=a-b", undefined],
  ["bytes=99999999999999999-", undefined],
])("%j of 10 bytes is %j", (header, expected) => {
  expect(parseByteRange(header, 10)).toEqual(expected);
});

test("empty content has no ranges", () => {
  for (const header of ["bytes=0-", "bytes=0-0", "bytes=-1"]) expect(parseByteRange(header, 0)).toBe("unsatisfiable");
});
