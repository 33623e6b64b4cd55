import { type Compression, decompressedAs } from "../../../src/compression/decompress.ts";
import "../../../src/node/brotli.ts";
import { arriving, Broken, type Target } from "../target.ts";
import type { Samples } from "./samples.ts";

/** Bytes after which the test stops reading: real callers know the size of a NAR. */
const ENOUGH = 4 * 1024 * 1024;

/** Numbers of inputs, because a million would take hours. */
const COUNTS: Readonly<Record<Exclude<Compression, "none">, { count: number; why: string }>> = {
  gzip: { count: 100_000, why: "each allocates a window" },
  bzip2: { count: 10_000, why: "each allocates a block" },
  xz: { count: 50_000, why: "each makes a WebAssembly instance" },
  zstd: { count: 20_000, why: "some come to megabytes" },
  lz4: { count: 50_000, why: "each makes a WebAssembly instance" },
  lzip: { count: 10_000, why: "some come to megabytes" },
  lzma: { count: 10_000, why: "some come to megabytes" },
  br: { count: 50_000, why: "some come to megabytes" },
};

export function decompressors(samples: Samples): Target[] {
  return Object.entries(COUNTS).map(([compression, inputs]) => ({
    name: compression,
    inputs,
    samples: samples.files(
      new RegExp(`^test/fuzz/samples/.*\\.${compression}$|^test/compression/samples/zeros\\.${compression}$`),
      4096,
    ),
    async run(input, random) {
      let size = 0;
      for await (const bytes of decompressedAs(arriving(input, random), compression)) {
        if (bytes.length > 64 * 1024 * 1024) throw new Broken(`a piece of ${bytes.length} bytes at once`);
        size += bytes.length;
        if (size > ENOUGH) break;
      }
    },
  }));
}
