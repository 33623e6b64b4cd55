/** The thread in Node, which also compares Node's own decoders and native programs. */

import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import unbzip2Stream from "unbzip2-stream";
import { provideBrotli } from "../../../src/compression/brotli.ts";
import type { Options } from "../bench.ts";
import { BROTLI_MODULE, runCases } from "./cases.ts";
import { type Decoder, decodersWith, unbzip2 } from "./decoders.ts";

const read = async (name: string): Promise<Uint8Array> => new Uint8Array(await readFile(new URL(`./${name}`, import.meta.url)));

const zlib = (decode: (bytes: Uint8Array) => Uint8Array): Decoder => ({
  name: "node:zlib",
  decode: (bytes) => decode(bytes).length,
});

/** A program. Its time includes its start, and the pipes to and from it. */
const native = (program: string): Decoder => ({
  name: "native",
  decode(input) {
    const { status, stdout } = spawnSync(program, ["-dc"], { input, maxBuffer: 2 ** 30 });
    if (status !== 0) throw new Error(`${program} failed`);
    return stdout.length;
  },
});

provideBrotli(async () => {
  const library = await import("brotli-dec-wasm/web");
  await library.default({ module_or_path: await read(BROTLI_MODULE) });
  return library;
});

const decoders = decodersWith({
  gzip: [zlib(gunzipSync)],
  bzip2: [unbzip2(unbzip2Stream), native("bzip2")],
  xz: [native("xz")],
  zstd: [native("zstd")],
  br: [zlib(brotliDecompressSync)],
  lz4: [native("lz4")],
});

await runCases(workerData as Options, (message) => parentPort?.postMessage(message), { read, decoders });
