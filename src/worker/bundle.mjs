// @ts-check
/**
 * Bundles each worker's script into one file, over the output of tsc. A page that passes the URL of
 * a worker has no bundler to resolve the imports of its script. The brotli decoder is a separate
 * script, which the store worker imports when it needs it. Part of `npm run build`.
 */
import { copyFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { rolldown } from "rolldown";

/** @type {import("rolldown").Plugin} */
const lazyBrotli = {
  name: "lazy-brotli",
  resolveId: (id, importer) =>
    importer && id.endsWith("/brotli-decoder.ts") ? { id: "./brotli-decoder.js", external: true } : null,
};

for (const script of ["worker/store-worker", "worker/hash-worker", "worker/brotli-decoder", "browser/service-worker"]) {
  const bundle = await rolldown({ input: `src/${script}.ts`, platform: "browser", plugins: [lazyBrotli] });
  await bundle.write({
    file: `dist/${script}.js`,
    format: "esm",
    // Keep whitespace: removing it also changes the quotes of `{ type: "module" }`, by which other
    // bundlers recognise a worker.
    minify: { mangle: true, compress: true, codegen: false },
    // Docstrings were a quarter of the store worker.
    comments: { legal: true, annotation: true, jsdoc: false },
  });
  await bundle.close();
}

// The decoder fetches this file from its own directory.
await copyFile(createRequire(import.meta.url).resolve("brotli-dec-wasm/web/bg.wasm"), "dist/worker/brotli_dec_wasm_bg.wasm");
