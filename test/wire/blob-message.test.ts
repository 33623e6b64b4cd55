import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { OUTBOARD_VERSION, outboardOf } from "../../src/hash/outboard.ts";
import {
  blobStatFromMessage,
  blobStatToMessage,
  chunksFromMessage,
  chunksToMessage,
  cutBlobPieces,
  MAX_BLOB_PIECE,
} from "../../src/wire/blob-message.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });
const digest = digestOf(utf8("some"));
const MAX = BigInt(Number.MAX_SAFE_INTEGER);

describe("the chunks of a blob", () => {
  test("keep their digests, sizes and order", () => {
    const chunks = [
      { digest, size: 1 },
      { digest: digestOf(utf8("other")), size: Number.MAX_SAFE_INTEGER - 1 },
    ];
    expect(chunksFromMessage(chunksToMessage(chunks))).toEqual(chunks);
    expect(chunksFromMessage([])).toEqual([]);
  });

  test.each([
    ["an empty chunk", [{ digest, size: 0n }]],
    ["a chunk of 2^53 bytes", [{ digest, size: MAX + 1n }]],
    [
      "chunks of 2^53 bytes in all",
      [
        { digest, size: MAX },
        { digest, size: 1n },
      ],
    ],
    ["a size of 64 bits", [{ digest, size: 2n ** 64n - 1n }]],
    ["a short digest", [{ digest: digest.slice(1), size: 1n }]],
    ["a long digest", [{ digest: new Uint8Array(33), size: 1n }]],
  ])("can't have %s", (_, chunks) => {
    expect(() => chunksFromMessage(chunks)).toThrow(invalid);
  });
});

describe("the outboard of a blob", () => {
  const { outboard } = outboardOf(new Uint8Array(100_000).fill(7));

  test("is sent and read", () => {
    const message = blobStatToMessage({ chunks: [], outboard });
    expect(message.bao[0]).toBe(OUTBOARD_VERSION);
    expect(blobStatFromMessage(message).outboard).toEqual(outboard);
    expect(blobStatToMessage({ chunks: [] }).bao).toHaveLength(0);
  });

  test("of another encoding counts as none, but a broken one is refused", () => {
    const { bao } = blobStatToMessage({ chunks: [], outboard });
    for (const other of [
      new Uint8Array(0),
      Uint8Array.of(OUTBOARD_VERSION + 1),
      Uint8Array.of(OUTBOARD_VERSION ^ 0xff, ...bao.subarray(1)),
    ])
      expect(blobStatFromMessage({ chunks: [], bao: other }).outboard).toBeUndefined();
    for (const broken of [bao.subarray(0, 1), bao.subarray(0, -1), Uint8Array.of(...bao, 0)])
      expect(() => blobStatFromMessage({ chunks: [], bao: broken })).toThrow(invalid);
  });
});

describe("the messages of a blob", () => {
  const sizes = (length: number, size?: number) => [...cutBlobPieces(new Uint8Array(length), size)].map((piece) => piece.length);

  test("have the maximum length, except the last one", () => {
    expect(sizes(0)).toEqual([]);
    expect(sizes(MAX_BLOB_PIECE)).toEqual([MAX_BLOB_PIECE]);
    expect(sizes(MAX_BLOB_PIECE + 1)).toEqual([MAX_BLOB_PIECE, 1]);
    expect(sizes(7, 3)).toEqual([3, 3, 1]);
  });

  test("are views", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const pieces = [...cutBlobPieces(bytes, 2)];
    bytes[2] = 9;
    expect(pieces).toEqual([Uint8Array.of(1, 2), Uint8Array.of(9)]);
  });
});
