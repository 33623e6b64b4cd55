// @ts-check
/**
 * `npm run test:crash`: see main.ts. Tests the built package. Node doesn't run TypeScript, so this
 * script bundles it first. Packages stay outside of the bundle. The bundle is written below
 * node_modules, so that Node finds the packages.
 */
import { access, cp, mkdtemp, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const here = import.meta.dirname;
const root = resolve(here, "../..");
await access(resolve(root, "dist/index.js")).catch(() => {
  process.stderr.write("test:crash: there is no dist/; run `npm run build` first\n");
  process.exit(1);
});
const out = await mkdtemp(resolve(root, "node_modules/.crash-"));
try {
  // Copy the package, so that a concurrent build doesn't change it during the test.
  await cp(resolve(root, "dist"), resolve(out, "dist"), { recursive: true });
  for (const [name, platform] of /** @type {const} */ ([
    ["main", "node"],
    ["page", "browser"],
  ])) {
    const bundle = await rolldown({ input: resolve(here, `${name}.ts`), platform, external: platform === "node" ? /^[^./]/ : [] });
    await bundle.write({ file: resolve(out, `${name}.mjs`), format: "esm", codeSplitting: false });
    await bundle.close();
  }
  const { main } = await import(pathToFileURL(resolve(out, "main.mjs")).href);
  process.exitCode = await main(process.argv.slice(2), { root, out });
} finally {
  await rm(out, { recursive: true, force: true });
}
