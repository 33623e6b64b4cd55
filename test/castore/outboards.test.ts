import { describe, expect, test } from "vitest";
import { type Digest, digestOf } from "../../src/castore/digest.ts";
import { Outboards } from "../../src/castore/outboards.ts";
import type { BlobCutter } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { encodeOutboard, outboardOf } from "../../src/hash/outboard.ts";
import { streamOf } from "../../src/stream.ts";
import { pseudoRandom } from "../conformance/content.ts";

const content = pseudoRandom(1_300_000, 3);
const digest = digestOf(content);
const { outboard } = outboardOf(content);
const corrupt = { name: "StoreError", code: "corrupt" };

/** Counts the cutters that began, and those that were aborted. */
class Engine extends InlineHashEngine {
  cutters = 0;
  aborted = 0;
  override async cutter(): Promise<BlobCutter> {
    this.cutters++;
    const cutter = await super.cutter();
    const abort = (): void => {
      this.aborted++;
      cutter.abort();
    };
    return { ...cutter, abort };
  }
}

const never = (): Promise<never> => Promise.reject(new Error("the content is not needed"));
const pieces = async (...parts: Uint8Array[]): Promise<ReadableStream<Uint8Array>> =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(part);
      controller.close();
    },
  });

describe("a stored outboard", () => {
  test("is decoded, without reading the content", async () => {
    const engine = new Engine();
    expect(await new Outboards(engine).get(digest, encodeOutboard(outboard), never)).toEqual(outboard);
    expect(engine.cutters).toBe(0);
  });

  test.each<[string, Uint8Array]>([
    ["of another blob", encodeOutboard(outboardOf(content.subarray(1)).outboard)],
    ["that is cut short", encodeOutboard(outboard).subarray(0, -1)],
    ["of no bytes", new Uint8Array(0)],
  ])("%s is refused, and not kept", async (_, bao) => {
    const outboards = new Outboards(new Engine());
    await expect(outboards.get(digest, bao, never)).rejects.toMatchObject({ ...corrupt, cause: expect.any(Error) });
    expect(await outboards.get(digest, encodeOutboard(outboard), never)).toEqual(outboard);
  });
});

describe("a missing outboard", () => {
  test.each([1, 2, 3])("is computed from the content, in %d pieces", async (count) => {
    const engine = new Engine();
    const length = Math.ceil(content.length / count);
    const parts = Array.from({ length: count }, (_, i) => content.subarray(i * length, (i + 1) * length));
    expect(await new Outboards(engine).get(digest, undefined, () => pieces(...parts))).toEqual(outboard);
    expect([engine.cutters, engine.aborted]).toEqual([1, 0]);
  });

  test("is refused if the content is that of another blob", async () => {
    const engine = new Engine();
    const outboards = new Outboards(engine);
    await expect(outboards.get(digest, undefined, () => pieces(content.subarray(1)))).rejects.toMatchObject(corrupt);
    expect(engine.aborted).toBe(1);
    // It is not kept.
    expect(await outboards.get(digest, undefined, () => pieces(content))).toEqual(outboard);
  });

  test("ends the hash if the content can't be read", async () => {
    const engine = new Engine();
    const failure = new Error("the disk is gone");
    const failing = streamOf(
      (async function* () {
        yield content;
        throw failure;
      })(),
    );
    await expect(new Outboards(engine).get(digest, undefined, async () => failing)).rejects.toBe(failure);
    expect(engine.aborted).toBe(1);
  });
});

test("the last sixteen outboards are kept", async () => {
  const engine = new Engine();
  const outboards = new Outboards(engine);
  const blobs = Array.from({ length: 17 }, (_, i) => content.subarray(0, 1000 + i));
  const get = async (blob: Uint8Array, of: Digest = digestOf(blob)) => outboards.get(of, undefined, () => pieces(blob));
  for (const blob of blobs.slice(0, 16)) await get(blob);
  const kept = await get(blobs[0] as Uint8Array);
  expect(engine.cutters).toBe(16);
  expect(kept).toBe(await get(blobs[0] as Uint8Array));
  // One more drops the second, because the first was used since.
  await get(blobs[16] as Uint8Array);
  await get(blobs[0] as Uint8Array);
  expect(engine.cutters).toBe(17);
  await get(blobs[1] as Uint8Array);
  expect(engine.cutters).toBe(18);
});
