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

  test("is given only to an input that has reserved as much memory", async () => {
    const { input, decoder } = await opened(4 * MiB);
    input.end();
    const small = await opened(65_536);
    expect(small.decoder).not.toBe(decoder);
    expect(small.decoder.memorySize).toBeLessThan(MiB);
    const large = await memoryOf().open(inputOf(NOTHING), 4 * MiB);
    expect(large).toBe(decoder);
    expect(large.memorySize).toBeLessThan(4 * MiB + 256 * 1024);
  });

  test("is kept for the next input, the small ones up to 32 MiB in total", async () => {
    const inputs = [await opened(16 * MiB), await opened(8 * MiB), await opened(15 * MiB), await opened(65_536)];
    for (const { input } of inputs) input.end();
    const kept = new Set(inputs.map(({ decoder }) => decoder));
    const next = [];
    for (let i = 0; i < 4; i++) next.push(await memoryOf().open(inputOf(NOTHING), 16 * MiB));
    // The largest one had to go.
    expect(next.filter((decoder) => kept.has(decoder))).toEqual([inputs[2], inputs[1], inputs[3]].map((one) => one?.decoder));
  });

  test("stays with its input if a later stream has a larger dictionary", async () => {
    const memory = memoryOf();
    const input = inputOf(NOTHING);
    const first = await memory.open(input, 65_536);
    expect(await memory.open(input, MiB)).toBe(first);
    input.end();
    expect(await memoryOf().open(inputOf(NOTHING), 4096)).toBe(first);
  });
});
