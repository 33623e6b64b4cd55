import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { pieces } from "../setup/pieces.ts";
import { expectAtMost } from "../setup/processor-time.ts";

const MiB = 1024 * 1024;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/**
 * Loads the decoders anew. `allocated()` returns the number of bytes that they allocated in byte
 * arrays.
 */
async function counted() {
  let allocated = 0;
  const Counted = new Proxy(Uint8Array, {
    construct(target, parameters: unknown[], newTarget) {
      if (typeof parameters[0] === "number") allocated += parameters[0];
      return Reflect.construct(target, parameters, newTarget) as Uint8Array;
    },
  });
  vi.stubGlobal("Uint8Array", Counted);
  vi.resetModules();
  const { decompressedAs } = await import("../../src/compression/decompress.ts");
  return { decompressedAs, allocated: () => allocated };
}

const repeated = (unit: Uint8Array, count: number): Uint8Array[] => Array<Uint8Array>(count).fill(unit);

/** A zstd frame with a window of 128 MiB and a block of one byte. */
const WIDE_START = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3);
const WIDE = concatBytes([WIDE_START, Uint8Array.of(0x09, 0x00, 0x00, 0x41)]);
/**
 * An lz4 frame with one stored block of one byte. Its blocks may have 4 MiB and refer to each
 * other.
 */
const LARGE_BLOCKS = Uint8Array.of(4, 0x22, 0x4d, 0x18, 0x40, 0x70, 0xdf, 1, 0, 0, 0x80, 0x41, 0, 0, 0, 0);

test.each<[string, Uint8Array | string]>([
  ["zstd", WIDE],
  ["zstd", "zstd.nothing"],
  ["lz4", LARGE_BLOCKS],
  ["lz4", "lz4.one"],
  ["gzip", "gzip.one"],
  ["lzip", "lzip.one"],
  ["bzip2", "bzip2.one"],
])("a thousand small members of %s share their memory (%#)", async (compression, from) => {
  const unit = typeof from === "string" ? new Uint8Array(await readFile(join(import.meta.dirname, "samples", from))) : from;
  const { decompressedAs, allocated } = await counted();
  const bytes = concatBytes(repeated(unit, 1000));
  const before = allocated();
  let length = 0;
  for await (const piece of decompressedAs(pieces(bytes, 65_536), compression)) length += piece.length;
  if (from !== "zstd.nothing") expect(length).toBeGreaterThanOrEqual(1000);
  expect(allocated() - before).toBeLessThan(64 * MiB);
});

test("small zstd blocks take no extra time in a large window", async () => {
  const { decompressedAs, allocated } = await counted();
  // 128 MiB in runs of 128 KiB, then 50,000 runs of one byte.
  const large = repeated(Uint8Array.of(0x02, 0x00, 0x10, 0x41), 1024);
  const small = repeated(Uint8Array.of(0x0a, 0x00, 0x00, 0x42), 50_000);
  const lengthOf = async (blocks: readonly Uint8Array[]): Promise<number> => {
    let length = 0;
    const bytes = concatBytes([WIDE_START, ...blocks, Uint8Array.of(1, 0, 0)]);
    for await (const piece of decompressedAs(pieces(bytes, 65_536), "zstd")) length += piece.length;
    return length;
  };
  // If the decoder moved the window for each block, the blocks would take a thousand times as long
  // together as apart.
  await expectAtMost(
    10,
    async () => {
      expect(await lengthOf(large)).toBe(128 * MiB);
      expect(await lengthOf(small)).toBe(50_000);
    },
    async () => {
      const before = allocated();
      expect(await lengthOf([...large, ...small])).toBe(128 * MiB + 50_000);
      // The limit allows for the content and for a window that grew.
      expect(allocated() - before).toBeLessThan(600 * MiB);
    },
  );
});
