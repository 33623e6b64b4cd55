import { beforeEach, describe, expect, test, vi } from "vitest";
import type { LzmaMemory } from "../../src/compression/lzma-memory.ts";
import { inputOf } from "./streams.ts";

const MiB = 1024 * 1024;
const NOTHING = new Uint8Array(0);
const PROPERTIES = { lc: 3, lp: 0, pb: 2 };

let memoryOf: () => LzmaMemory;
beforeEach(async () => {
  // Without idle decoders of other tests.
  vi.resetModules();
  const { LzmaMemory } = await import("../../src/compression/lzma-memory.ts");
  memoryOf = () => new LzmaMemory();
});

/** Opens a decoder and makes it need so many bytes. */
async function opened(dictionarySize: number, memory = memoryOf()) {
  const input = inputOf(NOTHING);
  const decoder = await memory.open(input, dictionarySize);
  for (let stored = 0; stored < dictionarySize; stored += 65_536) decoder.store(new Uint8Array(65_536));
  decoder.takeOutput();
  return { input, decoder };
}

describe("a decoder", () => {
  test("is one for all streams of an input", async () => {
    const memory = memoryOf();
    const input = inputOf(NOTHING);
    const decoder = await memory.open(input, MiB);
    for (const size of [4096, MiB]) expect(await memory.open(input, size)).toBe(decoder);
    input.end();
  });

  test("is not given to another input before the first one ends", async () => {
    const { input, decoder } = await opened(65_536);
    const other = await opened(65_536);
    expect(other.decoder).not.toBe(decoder);
    input.end();
    expect((await opened(65_536)).decoder).toBe(decoder);
    // The second end of an input does nothing: the decoder is in use elsewhere.
    input.end();
    expect((await opened(65_536)).decoder).not.toBe(decoder);
  });

  test("begins with nothing of the input before, even if that one was cut short", async () => {
    const { input, decoder } = await opened(65_536);
    decoder.store(Uint8Array.of(1, 2, 3));
    input.end();
    const next = await memoryOf().open(inputOf(NOTHING), 4096);
    expect(next).toBe(decoder);
    expect(next.takeOutput()).toEqual([]);
    // A match would refer to a byte of the earlier input: the stream is damaged.
    next.resetState(PROPERTIES);
    next.begin(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xfe), undefined, true);
    expect(() => next.run(new Uint8Array(64).fill(0xff), true)).toThrow("damaged");
  });

  test("that is large is kept for the next input, up to 32 MiB in total", async () => {
    const inputs = [await opened(16 * MiB), await opened(8 * MiB), await opened(16 * MiB), await opened(65_536)];
    for (const { input } of inputs) input.end();
    const kept = new Set(inputs.map(({ decoder }) => decoder));
    const next = await Promise.all([65_536, 65_536, 65_536, 65_536].map((size) => memoryOf().open(inputOf(NOTHING), size)));
    expect(next.filter((decoder) => kept.has(decoder))).toEqual([inputs[3], inputs[1], inputs[0]].map((one) => one?.decoder));
  });
});
