// @ts-check
/**
 * `npm run test:crash`: see main.ts. Node doesn't run TypeScript, so what is here is bundled first; packages stay outside the bundle
 * and are found from node_modules, below which it therefore is. What is tested is the built package.
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
  // A build meanwhile must not change what is tested.
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
