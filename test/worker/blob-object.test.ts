import { describe, expect, test } from "vitest";
import { asDigest, digestOf } from "../../src/castore/digest.ts";
import { isStoreError } from "../../src/error.ts";
import { decodeBlob, decodeChunkList, encodeBlob } from "../../src/worker/blob-object.ts";
import { pseudoRandom } from "../conformance/content.ts";

const BLOB_DIGEST = digestOf(pseudoRandom(10, 1));
const CHUNKS = [1, 2 ** 20, 2 ** 40 + 3].map((size, i) => ({ digest: digestOf(pseudoRandom(32, i + 2)), size }));

function code(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return isStoreError(error) ? error.code : error;
  }
  return "no error";
}

describe("a blob's object", () => {
  test("has the bytes that the format prescribes", () => {
    const bytes = encodeBlob({ chunks: CHUNKS, bao: new Uint8Array([1, 2, 3]) });
    expect(bytes.length).toBe(4 + 3 * 40 + 3);
    expect([...bytes.subarray(0, 4)]).toEqual([3, 0, 0, 0]);
    expect(bytes.subarray(4 + 80, 4 + 112)).toEqual(new Uint8Array(CHUNKS[2]?.digest ?? []));
    // 2 ** 40 + 3, little-endian.
    expect([...bytes.subarray(4 + 112, 4 + 120)]).toEqual([3, 0, 0, 0, 0, 1, 0, 0]);
    expect([...bytes.subarray(-3)]).toEqual([1, 2, 3]);
  });

  test.each([
    ["with an outboard", { chunks: CHUNKS, bao: pseudoRandom(1000, 9) }],
    ["without one", { chunks: CHUNKS }],
    ["without chunks", { chunks: [] }],
  ])("is read back %s, also from a view", (_, entry) => {
    const bytes = encodeBlob(entry);
    expect(decodeBlob(bytes, BLOB_DIGEST)).toEqual(entry);
    const shifted = new Uint8Array(bytes.length + 10);
    shifted.set(bytes, 5);
    expect(decodeBlob(shifted.subarray(5, 5 + bytes.length), BLOB_DIGEST)).toEqual(entry);
  });

  test("is corrupt if it is damaged", () => {
    const bytes = encodeBlob({ chunks: CHUNKS });
    expect(code(() => decodeBlob(new Uint8Array(0), BLOB_DIGEST))).toBe("corrupt");
    expect(code(() => decodeBlob(bytes.subarray(0, 3), BLOB_DIGEST))).toBe("corrupt");
    expect(code(() => decodeBlob(bytes.subarray(0, -1), BLOB_DIGEST))).toBe("corrupt");
    const many = bytes.slice();
    // This claims more chunks than the object can hold.
    many.fill(0xff, 0, 4);
    expect(code(() => decodeBlob(many, BLOB_DIGEST))).toBe("corrupt");
  });
});

test("a chunk list of version 1 is read, unless it is cut short", () => {
  const list = encodeBlob({ chunks: CHUNKS }).slice(4);
  expect(decodeChunkList(list, BLOB_DIGEST)).toEqual(CHUNKS.map(({ digest, size }) => ({ digest: asDigest(digest), size })));
  expect(code(() => decodeChunkList(list.subarray(1), BLOB_DIGEST))).toBe("corrupt");
});
