import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { outsideBytes } from "../../src/worker/outside-bytes.ts";

async function* pieces(lengths: readonly number[], failure?: unknown): AsyncGenerator<Uint8Array> {
  for (const length of lengths) yield new Uint8Array(length);
  if (failure !== undefined) throw failure;
}

async function readAll(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let sum = 0;
  for await (const { length } of bytes) sum += length;
  return sum;
}

const BLOB = { label: 'file "a/b"', blob: new Blob([new Uint8Array(10)]) };
const STREAM = { label: 'the stream for "x"' };
const ABORT = new DOMException("the user left", "AbortError");

describe("bytes from outside", () => {
  test("pass if a Blob has exactly its size, or if they come from a stream", async () => {
    expect(await readAll(outsideBytes(pieces([4, 0, 6]), BLOB))).toBe(10);
    expect(await readAll(outsideBytes(pieces([]), { ...BLOB, blob: new Blob([]) }))).toBe(0);
    expect(await readAll(outsideBytes(pieces([4, 7]), STREAM))).toBe(11);
  });

  test.each([
    ["fewer", [4, 5]],
    ["none", []],
    ["more", [4, 7]],
  ])("are an error that names the Blob if there are %s", async (_, lengths) => {
    await expect(readAll(outsideBytes(pieces(lengths), BLOB))).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("a/b"),
    });
  });

  test("are checked once more at the end", async () => {
    const blob = new Blob([new Uint8Array(10)]);
    const gone = new DOMException("it is gone", "NotFoundError");
    blob.slice = () => Object.assign(new Blob([]), { arrayBuffer: () => Promise.reject(gone) });
    await expect(readAll(outsideBytes(pieces([10]), { label: "x", blob }))).rejects.toMatchObject({
      code: "unavailable",
      cause: gone,
    });
  });

  test.each([
    new TypeError("network error"),
    new DOMException("it has changed", "NotReadableError"),
    new DOMException("it is gone", "NotFoundError"),
    new Error("anything else"),
    "no error at all",
  ])("that fail with %s are unavailable, with the cause and the name", async (failure) => {
    for (const source of [BLOB, STREAM]) {
      const reading = readAll(outsideBytes(pieces([4], failure), source));
      await expect(reading).rejects.toMatchObject({ code: "unavailable", cause: failure });
      await expect(readAll(outsideBytes(pieces([4], failure), source))).rejects.toThrow(source.label);
    }
  });

  test("that fail with a StoreError pass it on unchanged", async () => {
    const failure = new StoreError("denied", "no more of it");
    for (const source of [BLOB, STREAM]) await expect(readAll(outsideBytes(pieces([4], failure), source))).rejects.toBe(failure);
  });

  test("reject with the reason of an abort, whatever the source does then", async () => {
    const reason = { why: "enough" };
    for (const source of [BLOB, STREAM]) {
      const reading = readAll(outsideBytes(pieces([4], new TypeError("cancelled")), source, AbortSignal.abort(reason)));
      await expect(reading).rejects.toBe(reason);
    }
  });

  test("of a stream reject with its owner's AbortError, but a Blob has no other owner", async () => {
    await expect(readAll(outsideBytes(pieces([4], ABORT), STREAM))).rejects.toBe(ABORT);
    const late = new DOMException("late", "TimeoutError");
    await expect(readAll(outsideBytes(pieces([4], late), STREAM))).rejects.toBe(late);
    // Firefox reports this error for a file that is gone.
    await expect(readAll(outsideBytes(pieces([4], ABORT), BLOB))).rejects.toMatchObject({ code: "unavailable", cause: ABORT });
  });
});
