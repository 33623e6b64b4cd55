// @ts-check
/**
 * `npm run fuzz`: see main.ts. Node doesn't run TypeScript, so this script bundles it first.
 * Packages stay outside of the bundles. The bundles are written below node_modules, so that Node
 * finds the packages.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const here = import.meta.dirname;
const root = resolve(here, "../..");
const out = await mkdtemp(resolve(root, "node_modules/.fuzz-"));
// Clean up on every kind of exit.
process.once("exit", () => rmSync(out, { recursive: true, force: true }));
const bundle = await rolldown({
  input: { main: `${here}/main.ts`, worker: `${here}/worker.ts` },
  platform: "node",
  external: /^[^./]/,
});
await bundle.write({ dir: out, format: "esm", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" });
await bundle.close();
const { main } = await import(pathToFileURL(`${out}/main.mjs`).href);
process.exitCode = await main(process.argv.slice(2), { root, worker: `${out}/worker.mjs` });
