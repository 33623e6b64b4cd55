// @ts-check
/**
 * Makes each worker's script self-contained, over what tsc has put in its place: a page that gives a worker's URL has no bundler
 * that would resolve its imports. The decoder of brotli is a script of its own, which the store worker
 * imports if it needs it. Part of `npm run build`.
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
    // Whitespace stays: with it goes the quoting of `{ type: "module" }`, by which other bundlers know a worker.
    minify: { mangle: true, compress: true, codegen: false },
  });
  await bundle.close();
}

// The decoder fetches it from its own directory.
await copyFile(createRequire(import.meta.url).resolve("brotli-dec-wasm/web/bg.wasm"), "dist/worker/brotli_dec_wasm_bg.wasm");
