import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concatBytes, toHex } from "../../src/bytes.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { createLocalHashStream } from "../../src/hash/hash-stream.ts";
import { pseudoRandom } from "../conformance/content.ts";

function expected(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("a stream of this thread", () => {
  test.each([70_000_000, 1000])("of %d bytes, concurrent with others", async (length) => {
    const bytes = pseudoRandom(1_000_000, 7);
    const streams = await Promise.all(Array.from({ length: 3 }, () => createLocalHashStream("sha256")));
    const peer = createHash("sha256");
    for (let at = 0; at < length; at += bytes.length) {
      const piece = bytes.subarray(0, Math.min(bytes.length, length - at));
      peer.update(piece);
      for (const stream of streams) stream.update(piece);
    }
    const digest = peer.digest("hex");
    for (const stream of streams) expect(toHex(await stream.digest())).toBe(digest);
  });

  test("can't be used after its digest or an abort", async () => {
    for (const subtle of [globalThis.crypto.subtle, undefined]) {
      const descriptor = Object.getOwnPropertyDescriptor(globalThis, "crypto") as PropertyDescriptor;
      Object.defineProperty(globalThis, "crypto", { value: { subtle }, configurable: true });
      try {
        const digested = await createLocalHashStream("sha256");
        digested.update(new Uint8Array(3));
        expect(toHex(await digested.digest())).toBe(expected(new Uint8Array(3)));
        expect(() => digested.update(new Uint8Array(1))).toThrow(TypeError);
        await expect(digested.digest()).rejects.toThrow(TypeError);
        digested.abort();
        const aborted = await createLocalHashStream("sha256");
        aborted.abort();
        aborted.abort();
        expect(() => aborted.update(new Uint8Array(1))).toThrow(TypeError);
      } finally {
        Object.defineProperty(globalThis, "crypto", descriptor);
      }
    }
  });
});

describe.each(["md5", "sha1", "sha512", "blake3"] as const)("%s", (algorithm) => {
  const content = pseudoRandom(10_000, 2);
  const expected = (bytes: Uint8Array) =>
    algorithm === "blake3" ? blake3(bytes) : new Uint8Array(createHash(algorithm).update(bytes).digest());

  test("of concurrent streams, and of streams after them", async () => {
    for (let round = 0; round < 3; round++) {
      const streams = await Promise.all([1, 2, 3].map(() => createLocalHashStream(algorithm)));
      for (let at = 0; at < 9000; at += 1000)
        for (const [i, stream] of streams.entries()) stream.update(content.subarray(at + i, at + 1000 + i));
      for (const [i, stream] of streams.entries()) {
        const parts = Array.from({ length: 9 }, (_, k) => content.subarray(1000 * k + i, 1000 * (k + 1) + i));
        if (i === round) stream.abort();
        else expect(await stream.digest()).toEqual(expected(concatBytes(parts)));
      }
    }
  });

  test("can't be used after its digest or an abort", async () => {
    const digested = await createLocalHashStream(algorithm);
    expect(await digested.digest()).toEqual(expected(new Uint8Array(0)));
    const aborted = await createLocalHashStream(algorithm);
    aborted.update(content);
    aborted.abort();
    // Another stream may have what this one had.
    const other = await createLocalHashStream(algorithm);
    for (const stream of [digested, aborted]) {
      expect(() => stream.update(content)).toThrow(TypeError);
      await expect(stream.digest()).rejects.toThrow(TypeError);
      stream.abort();
    }
    other.update(content);
    expect(await other.digest()).toEqual(expected(content));
  });
});
