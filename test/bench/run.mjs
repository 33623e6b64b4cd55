// @ts-check
/**
 * `npm run bench -- NAME`: see main.ts. Node doesn't run TypeScript, so this script bundles it
 * first. Packages stay outside of the bundles. The bundles are written below node_modules, so that
 * Node finds the packages.
 */
import { rmSync } from "node:fs";
import { mkdtemp, readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const here = import.meta.dirname;
const suffix = ".bench.ts";
const names = (await readdir(here)).filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));
const out = await mkdtemp(resolve(here, "../../node_modules/.bench-"));
// Clean up on every kind of exit.
process.once("exit", () => rmSync(out, { recursive: true, force: true }));
const bundle = await rolldown({
  input: { main: `${here}/main.ts`, ...Object.fromEntries(names.map((name) => [name, `${here}/${name}${suffix}`])) },
  platform: "node",
  external: /^[^./]/,
});
await bundle.write({ dir: out, format: "esm", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" });
await bundle.close();
/** @param {string} name */
const load = (name) => import(pathToFileURL(`${out}/${name}.mjs`).href);
const { main } = await load("main");
process.exitCode = await main(process.argv.slice(2), {
  root: resolve(here, "../.."),
  out,
  names,
  load: async (/** @type {string} */ name) => (await load(name)).bench,
});
