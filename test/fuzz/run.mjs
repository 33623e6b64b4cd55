// @ts-check
/**
 * `npm run fuzz`: see main.ts. Node doesn't run TypeScript, so what is here is bundled first; packages stay outside the bundles and are
 * found from node_modules, below which they therefore are.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const here = import.meta.dirname;
const root = resolve(here, "../..");
const out = await mkdtemp(resolve(root, "node_modules/.fuzz-"));
// However it ends.
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
