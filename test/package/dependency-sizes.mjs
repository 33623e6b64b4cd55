// @ts-check
// Prints the size of each npm package in each script of `dist`, in kB. A size covers the package's
// modules alone, minified and gzipped. Run it with `node test/package/dependency-sizes.mjs`.

import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { minifySync } from "rolldown/utils";

const SCRIPTS = ["src/index.ts", "src/worker/store-worker.ts", "src/worker/hash-worker.ts", "src/elements/index.ts"];

for (const input of SCRIPTS) {
  const bundle = await rolldown({ input, platform: "browser", external: /brotli-decoder/ });
  const { output } = await bundle.generate({ format: "esm" });
  await bundle.close();
  /** @type {Map<string, string>} */
  const packages = new Map();
  for (const chunk of output) {
    if (chunk.type !== "chunk") continue;
    for (const [id, { code }] of Object.entries(chunk.modules)) {
      const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? "tvix-store-web";
      packages.set(name, (packages.get(name) ?? "") + (code ?? ""));
    }
  }
  process.stdout.write(`${input}\n`);
  const sizes = [...packages].map(([name, code]) => ({
    name,
    size: gzipSync(minifySync("x.js", code, { compress: false }).code, { level: 9 }).length,
  }));
  for (const { name, size } of sizes.sort((a, b) => b.size - a.size))
    process.stdout.write(`  ${name}: ${(size / 1000).toFixed(1)}\n`);
}
