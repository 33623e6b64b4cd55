// @ts-check
/**
 * Builds the LZMA kernel: `npm run build:kernel` compiles assembly/ with AssemblyScript into
 * kernel.wasm.ts. The result is committed, so only a developer who changes the kernel needs the
 * compiler. test/compression/kernel-current.test.ts fails if source and result don't agree.
 */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { compileAssembly, modulesText } from "../../assembly.mjs";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/** Returns the current text of kernel.wasm.ts. */
export async function buildKernel() {
  const module = await compileAssembly(
    {
      ...{ folder: FOLDER, entry: "assembly/index.ts", optimize: ["-O3", "--converge"], simd: false },
      // The constants would come before the probabilities. The third page is for the dictionary.
      ...{ data: 512, pages: 3 },
    },
    { bytes: 6 * 1024, compressed: 3 * 1024 },
  );
  return modulesText([["LZMA", module]]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(`${FOLDER}kernel.wasm.ts`, await buildKernel());
