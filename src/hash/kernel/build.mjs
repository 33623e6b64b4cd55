// @ts-check
/**
 * Builds the kernel: `npm run build:kernel` compiles assembly/ with AssemblyScript into
 * kernel.wasm.ts. The result is committed, so only a developer who changes the kernel needs the
 * compiler. test/hash/kernel-current.test.ts fails if source and result don't agree.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { compileAssembly, modulesText } from "../../assembly.mjs";
import { generate } from "./generate/generate.mjs";

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

/** Size limits for each module in bytes. */
const LIMITS = { bytes: 24 * 1024, compressed: 6 * 1024 };

/**
 * The modules, by the names of their constants. `pages` is the memory in pages of 64 KiB. `data` is
 * the address of the constants; below it are the module's variables.
 */
const MODULES = {
  SIMD: { entry: "assembly/index.ts", simd: true, data: 4096, pages: 40 },
  SCALAR: { entry: "assembly/index.ts", simd: false, data: 4096, pages: 40 },
  SHA256_SIMD: { entry: "assembly/sha256-simd.ts", simd: true, data: 1024, pages: 2 },
  SHA256_SCALAR: { entry: "assembly/sha256-scalar.ts", simd: false, data: 1024, pages: 2 },
};

/** Returns the current text of kernel.wasm.ts. */
export async function buildKernel() {
  const generated = generate();
  const optimize = ["-O0", "--runPasses", PASSES.join(",")];
  /** @type {[string, Uint8Array][]} */
  const modules = [];
  for (const [name, module] of Object.entries(MODULES))
    modules.push([name, await compileAssembly({ folder: FOLDER, generated, optimize, ...module }, LIMITS)]);
  return modulesText(modules);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(`${FOLDER}kernel.wasm.ts`, await buildKernel());
