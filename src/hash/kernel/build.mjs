// @ts-check
/**
 * Builds the kernel: `npm run build:kernel` compiles assembly/ (with AssemblyScript) into kernel.wasm.ts, which is committed, so that
 * nobody needs the compiler who doesn't change it. test/hash/kernel-current.test.ts fails when they don't agree.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import asc from "assemblyscript/asc";
import { generate } from "./generate.mjs";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/**
 * Passes that leave the order of instructions as it was written: engines keep it too, and it decides on speed. asc's own levels from
 * -O1 up run simplify-locals, which moves additions to where their result is used.
 */
const PASSES = [
  "precompute",
  "remove-unused-brs",
  "remove-unused-names",
  "merge-blocks",
  "coalesce-locals",
  "reorder-locals",
  "vacuum",
  "duplicate-function-elimination",
  "remove-unused-module-elements",
  "reorder-functions",
];

/** Of each module, in bytes: what a page pays for. */
const MAX_SIZE = 24 * 1024;
const MAX_COMPRESSED_SIZE = 6 * 1024;

/** @param {boolean} simd */
async function compile(simd) {
  /** @type {Uint8Array | undefined} */
  let binary;
  const { error, stderr } = await asc.main(
    [
      ...["assembly/index.ts", "--baseDir", FOLDER, "--outFile", "kernel.wasm", "-O0", "--runPasses", PASSES.join(",")],
      ...["--runtime", "stub", "--noAssert", "--use", "abort=", "--memoryBase", "4096", "--initialMemory", "40"],
      ...["--enable", "bulk-memory", simd ? "--enable" : "--disable", "simd"],
    ],
    {
      writeFile: (_name, data) => {
        if (typeof data !== "string") binary = data;
      },
    },
  );
  if (error || !binary) throw new Error(`the kernel does not compile: ${error?.message}\n${stderr}`);
  const compressed = gzipSync(binary, { level: 9 }).length;
  if (binary.length > MAX_SIZE || compressed > MAX_COMPRESSED_SIZE) {
    throw new Error(`the ${simd ? "SIMD" : "scalar"} kernel is too large: ${binary.length} bytes, ${compressed} compressed`);
  }
  return binary;
}

/** The text of kernel.wasm.ts as it should be. */
export async function buildKernel() {
  await generate();
  const modules = { SIMD: await compile(true), SCALAR: await compile(false) };
  const lines = Object.entries(modules).map(
    ([name, binary]) => `export const ${name}: string =\n  "${Buffer.from(binary).toString("base64")}";\n`,
  );
  return `// Made by build.mjs from assembly/. Don't edit.\n\n${lines.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(`${FOLDER}kernel.wasm.ts`, await buildKernel());
