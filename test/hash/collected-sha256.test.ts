import { createHash } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { COLLECT_LIMIT, CollectedSha256 } from "../../src/hash/collected-sha256.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { fakePool } from "./fake-pool.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest());

test("SHA-256 uses crypto.subtle for one collected stream; longer and concurrent streams use the kernel", async () => {
  const engine = new InlineHashEngine();
  const lengths = [0, 1, 4095, 4096, 4097, 262_144, 262_145, COLLECT_LIMIT - 1, COLLECT_LIMIT, COLLECT_LIMIT + 1];
  const content = pseudoRandom(COLLECT_LIMIT + 1, 3);
  for (const length of lengths) {
    const stream = await engine.stream("sha256");
    for (let at = 0; at < length; at += 1_000_003) await stream.update(content.subarray(at, Math.min(at + 1_000_003, length)));
    expect(await stream.digest()).toEqual(sha256(content.subarray(0, length)));
  }
  const streams = await Promise.all([1, 2, 3].map(() => engine.stream("sha256")));
  for (const stream of streams) await stream.update(content.subarray(0, 1_000_000));
  streams[0]?.abort();
  for (const stream of streams.slice(1)) expect(await stream.digest()).toEqual(sha256(content.subarray(0, 1_000_000)));
});

test("SHA-256 collects no content that is known to be too long, here or in a worker", async () => {
  const content = pseudoRandom(300_000, 4);
  const digest = vi.spyOn(globalThis.crypto.subtle, "digest");
  try {
    for (const engine of [new InlineHashEngine(), fakePool(2).pool]) {
      for (const [size, collects] of [
        [COLLECT_LIMIT + 1, false],
        [COLLECT_LIMIT, true],
        [undefined, true],
      ] as const) {
        const stream = await engine.stream("sha256", { size });
        await stream.update(content);
        expect(await stream.digest()).toEqual(sha256(content));
        expect(digest).toHaveBeenCalledTimes(collects ? 1 : 0);
        digest.mockClear();
      }
    }
  } finally {
    digest.mockRestore();
  }
});

describe("the buffers of a thread", () => {
  const { subtle } = globalThis.crypto;
  /** Content up to 256 KiB is collected in a buffer of its own. */
  const SMALL = 256 * 1024;
  const content = pseudoRandom(2 * SMALL, 9);

  /** A stream that content is passed to if it can't be collected. */
  function open(Collected: typeof CollectedSha256 = CollectedSha256) {
    const streamed: Uint8Array[] = [];
    const abort = vi.fn();
    const digest = async () => sha256(concatBytes(streamed));
    const stream = new Collected(subtle, { update: (bytes) => streamed.push(bytes.slice()), digest, abort });
    return { stream, abort, length: () => concatBytes(streamed).length };
  }

  test("small content needs the large one of the thread no more than content does that is streamed", async () => {
    const all = [1, 2, 3].map(() => open());
    for (const { stream } of all)
      for (let at = 0; at < SMALL; at += 1000) stream.update(content.subarray(at, Math.min(at + 1000, SMALL)));
    for (const { stream, abort, length } of all) {
      expect(length()).toBe(0);
      expect(await stream.digest()).toEqual(sha256(content.subarray(0, SMALL)));
      expect(abort).toHaveBeenCalledTimes(1);
    }
  });

  test("one longer stream at a time has the large one; others are streamed, with what they collected", async () => {
    const [first, second] = [open(), open()];
    for (const { stream } of [first, second]) stream.update(content.subarray(0, 1000));
    for (const { stream } of [first, second]) stream.update(content.subarray(1000, SMALL + 1));
    expect([first.length(), second.length()]).toEqual([0, SMALL + 1]);
    second.stream.update(content.subarray(SMALL + 1));
    expect(second.length()).toBe(content.length);
    expect(await second.stream.digest()).toEqual(sha256(content));
    expect(second.abort).not.toHaveBeenCalled();
    expect(await first.stream.digest()).toEqual(sha256(content.subarray(0, SMALL + 1)));
    const third = open();
    third.stream.update(content);
    expect([third.length(), await third.stream.digest()]).toEqual([0, sha256(content)]);
  });

  test("an abort gives the large one back, and a second one doesn't take it from another", async () => {
    const first = open();
    first.stream.update(content);
    first.stream.abort();
    expect(first.abort).toHaveBeenCalledTimes(1);
    const second = open();
    second.stream.update(content);
    first.stream.abort();
    const third = open();
    third.stream.update(content);
    expect([second.length(), third.length()]).toEqual([0, content.length]);
    expect(await second.stream.digest()).toEqual(sha256(content));
    expect(() => first.stream.update(content)).toThrow(TypeError);
    await expect(first.stream.digest()).rejects.toThrow(TypeError);
  });

  test("a failure of the platform's hash gives the large one back", async () => {
    const first = open();
    first.stream.update(content);
    const failing = vi.spyOn(subtle, "digest").mockRejectedValueOnce(new DOMException("failed", "OperationError"));
    await expect(first.stream.digest()).rejects.toThrow("failed");
    failing.mockRestore();
    const second = open();
    second.stream.update(content);
    expect([second.length(), await second.stream.digest()]).toEqual([0, sha256(content)]);
  });

  describe("without memory for the large one", () => {
    afterEach(() => {
      vi.unstubAllGlobals();
      vi.resetModules();
    });

    test("content is streamed", async () => {
      vi.resetModules();
      const { CollectedSha256 } = await import("../../src/hash/collected-sha256.ts");
      vi.stubGlobal(
        "Uint8Array",
        new Proxy(Uint8Array, {
          construct(target, parameters: unknown[], newTarget) {
            if (parameters[0] === COLLECT_LIMIT) throw new RangeError("out of memory");
            return Reflect.construct(target, parameters, newTarget) as Uint8Array;
          },
        }),
      );
      const { stream, length } = open(CollectedSha256);
      stream.update(content);
      expect([length(), await stream.digest()]).toEqual([content.length, sha256(content)]);
    });
  });
});
