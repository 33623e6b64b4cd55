import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { compressZstd, decompressZstd } from "../../src/node/zstd.ts";

test("decompresses compressed bytes", () => {
  for (const size of [0, 1, 300, 70_000, 600_000]) {
    const content = new Uint8Array(size).map((_, i) => i % 251);
    expect(Buffer.compare(decompressZstd(compressZstd(content), size, "it"), content)).toBe(0);
  }
});

test("reads frames without a declared size", () => {
  // A window of 1 KiB. A raw block "ab", then the last block, 5 times "c".
  const frame = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x10, 0, 0, 0x61, 0x62, 0x2b, 0, 0, 0x63]);
  expect(decompressZstd(frame, 100, "it")).toEqual(utf8("abccccc"));
  expect(() => decompressZstd(frame, 6, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
});

test("refuses content above the limit without allocating it", () => {
  const huge = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]);
  expect(() => decompressZstd(huge, 1 << 24, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
  expect(() => decompressZstd(compressZstd(new Uint8Array(101)), 100, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
});

test("refuses bytes that are no frame, or a part of one", () => {
  const frame = compressZstd(utf8("a frame to be cut"));
  for (let length = 0; length < frame.length; length++) {
    expect(() => decompressZstd(frame.subarray(0, length), 100, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
  }
  expect(() => decompressZstd(utf8("not a frame"), 100, "it")).toThrow(expect.objectContaining({ code: "corrupt" }));
});

test("the error for content above the limit names the data, and the size that the frame declares", () => {
  expect(() => decompressZstd(compressZstd(new Uint8Array(101)), 100, "chunk x")).toThrow(/^chunk x declares 101 bytes/);
});
