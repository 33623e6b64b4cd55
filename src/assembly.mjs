// @ts-check
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import asc from "assemblyscript/asc";

/**
 * Compiles a WebAssembly module from AssemblyScript. It has no runtime: no garbage collection, and
 * no checks.
 *
 * @param {object} source
 * @param {string} source.folder in which the files are
 * @param {Readonly<Record<string, string>>} [source.generated] texts of files that are not in the
 *   folder, by their paths below it
 * @param {string} source.entry path of the file whose exports are the module's, below the folder
 * @param {readonly string[]} source.optimize options of the compiler
 * @param {boolean} source.simd whether the module uses SIMD
 * @param {number} source.data address of the module's constants in bytes
 * @param {number} source.pages size of the module's memory, in pages of 64 KiB
 * @param {{ bytes: number, compressed: number }} limits for the size of the module. A page has to
 *   download it.
 * @returns {Promise<Uint8Array>}
 * @throws {Error} if the source does not compile, or the module is too large
 */
export async function compileAssembly({ folder, generated = {}, entry, optimize, simd, data, pages }, limits) {
  /** @type {Uint8Array | undefined} */
  let binary;
  const { error, stderr } = await asc.main(
    [
      ...[entry, "--baseDir", folder, "--outFile", "module.wasm", ...optimize],
      ...["--runtime", "stub", "--noAssert", "--use", "abort=", "--memoryBase", `${data}`, "--initialMemory", `${pages}`],
      ...["--enable", "bulk-memory", simd ? "--enable" : "--disable", "simd"],
    ],
    {
      readFile: (name) => generated[name] ?? readFile(join(folder, name), "utf8").catch(() => null),
      writeFile: (_name, data) => {
        if (typeof data !== "string") binary = data;
      },
    },
  );
  if (error || !binary) throw new Error(`${entry} does not compile: ${error?.message}\n${stderr}`);
  const compressed = gzipSync(binary, { level: 9 }).length;
  if (binary.length > limits.bytes || compressed > limits.compressed)
    throw new Error(`${entry} becomes too large: ${binary.length} bytes, ${compressed} compressed`);
  return binary;
}

/**
 * Returns the text of a TypeScript file that has modules in base64.
 *
 * @param {readonly (readonly [name: string, module: Uint8Array])[]} modules with the names of their
 *   constants
 */
export function modulesText(modules) {
  const lines = modules.map(([name, module]) => `export const ${name}: string =\n  "${Buffer.from(module).toString("base64")}";\n`);
  return `// Made by build.mjs from assembly/. Don't edit.\n\n${lines.join("\n")}`;
}
