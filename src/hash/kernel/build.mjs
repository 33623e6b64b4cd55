// @ts-check
/**
 * Builds the kernel: `npm run build:kernel` compiles assembly/ with AssemblyScript into
 * kernel.wasm.ts. The result is committed, so only a developer who changes the kernel needs the
 * compiler. test/hash/kernel-current.test.ts fails if source and result don't agree.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import asc from "assemblyscript/asc";
import { generate } from "./generate.mjs";
import { generateSha256 } from "./generate-sha256.mjs";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/**
 * Optimizer passes that keep the order of instructions. Engines keep that order too, and speed
 * depends on it. From -O1 on, asc's own levels run simplify-locals, which moves additions to the
 * place where their result is used.
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

/** Size limits for each module in bytes. A page has to download the modules. */
const MAX_SIZE = 24 * 1024;
const MAX_COMPRESSED_SIZE = 6 * 1024;

/**
 * The modules, by the names of their constants. `pages` is the memory in pages of 64 KiB. `data` is
 * the address of the constants; below it are the module's variables.
 */
const MODULES = {
  SIMD: { entry: "index", simd: true, data: 4096, pages: 40 },
  SCALAR: { entry: "index", simd: false, data: 4096, pages: 40 },
  SHA256_SIMD: { entry: "sha256-simd", simd: true, data: 1024, pages: 2 },
  SHA256_SCALAR: { entry: "sha256-scalar", simd: false, data: 1024, pages: 2 },
};

/**
 * @param {string} name
 * @param {(typeof MODULES)[keyof typeof MODULES]} module
 */
async function compile(name, { entry, simd, data, pages }) {
  /** @type {Uint8Array | undefined} */
  let binary;
  const { error, stderr } = await asc.main(
    [
      ...[`assembly/${entry}.ts`, "--baseDir", FOLDER, "--outFile", "kernel.wasm", "-O0", "--runPasses", PASSES.join(",")],
      ...["--runtime", "stub", "--noAssert", "--use", "abort=", "--memoryBase", `${data}`, "--initialMemory", `${pages}`],
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
    throw new Error(`the module ${name} is too large: ${binary.length} bytes, ${compressed} compressed`);
  }
  return binary;
}

/** Returns the current text of kernel.wasm.ts. */
export async function buildKernel() {
  await generate();
  await generateSha256();
  const lines = [];
  for (const [name, module] of Object.entries(MODULES)) {
    const binary = await compile(name, module);
    lines.push(`export const ${name}: string =\n  "${Buffer.from(binary).toString("base64")}";\n`);
  }
  return `// Made by build.mjs from assembly/. Don't edit.\n\n${lines.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(`${FOLDER}kernel.wasm.ts`, await buildKernel());
