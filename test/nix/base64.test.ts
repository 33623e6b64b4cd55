import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { decodeNixBase64 } from "../../src/nix/base64.ts";

test.each([
  ["", ""],
  ["YQ==", "a"],
  ["YWI=", "ab"],
  ["YWJj", "abc"],
  // Without padding, or with too little of it.
  ["YQ", "a"],
  ["YQ=", "a"],
  ["YWI", "ab"],
  // Any text may follow the first `=`.
  ["YQ==YQ==", "a"],
  ["YQ=*", "a"],
  ["=YQ", ""],
  // Line ends are skipped.
  ["YW\nJj\n", "abc"],
  ["\n", ""],
  // Bits that fill no byte are dropped.
  ["YR==", "a"],
  ["YWJ=", "ab"],
  ["Y", ""],
])("%j is read as Nix reads it", (text, expected) => {
  expect(decodeNixBase64(text)).toEqual(utf8(expected));
});

test.each(["YQ-_", "YQ _", "Y Q==", "YQ\r\n", "Yé==", "*"])("%j is refused", (text) => {
  expect(() => decodeNixBase64(text)).toThrow(expect.objectContaining({ code: "invalid" }));
});
