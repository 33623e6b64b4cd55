import { spawnSync } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { isWanted, type Options } from "../bench.ts";
import { BROTLI_MODULE, CONTENT_LENGTH, decodeCase } from "./cases.ts";
import { COMPRESSED, type Compressed } from "./decoders.ts";

/** Offset of the content in the program of Node, in bytes. */
const OFFSET = 40_000_000;

const COMPRESS: Readonly<Record<Compressed, (content: Uint8Array) => Uint8Array>> = {
  gzip: (content) => gzipSync(content, { level: 9 }),
  bzip2: by("bzip2", "-9c"),
  // The default levels of Nix.
  xz: by("xz", "-6c"),
  zstd: by("zstd", "-q3c"),
  br: (content) => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } }),
  lz4: by("lz4", "-qc"),
};

/**
 * Compresses a part of a program in each format, as a substituter serves programs.
 *
 * @throws Error if a program that compresses is not installed
 */
export async function compressedFiles(options: Options): Promise<ReadonlyMap<string, Uint8Array>> {
  const wanted = COMPRESSED.filter((compression) => isWanted(decodeCase(compression), options));
  const files = new Map<string, Uint8Array>();
  if (wanted.length === 0) return files;
  const content = await partOfNode();
  for (const compression of wanted) files.set(compression, COMPRESS[compression](content));
  files.set(BROTLI_MODULE, await readFile(createRequire(import.meta.url).resolve("brotli-dec-wasm/web/bg.wasm")));
  return files;
}

async function partOfNode(): Promise<Uint8Array> {
  const file = await open(process.execPath);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(CONTENT_LENGTH), 0, CONTENT_LENGTH, OFFSET);
    if (bytesRead !== CONTENT_LENGTH) throw new Error(`${process.execPath} is too short; use a Node that is one program`);
    return buffer;
  } finally {
    await file.close();
  }
}

/** Compresses by a program from standard input to standard output. */
function by(program: string, ...args: string[]): (content: Uint8Array) => Uint8Array {
  return (input) => {
    const { status, stdout, error } = spawnSync(program, args, { input, maxBuffer: 2 * CONTENT_LENGTH });
    if (status !== 0) throw new Error(`${program} failed; is it installed?`, { cause: error });
    return stdout;
  };
}
