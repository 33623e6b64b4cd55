// @ts-check
/**
 * Makes each worker's script self-contained, over what tsc has put in its place: a page that gives a worker's URL has no bundler
 * that would resolve its imports. Part of `npm run build`.
 */
import { rolldown } from "rolldown";

for (const script of ["worker/store-worker", "worker/hash-worker", "browser/service-worker"]) {
  const bundle = await rolldown({ input: `src/${script}.ts`, platform: "browser" });
  await bundle.write({
    file: `dist/${script}.js`,
    format: "esm",
    // Whitespace stays: with it goes the quoting of `{ type: "module" }`, by which other bundlers know a worker.
    minify: { mangle: true, compress: true, codegen: false },
  });
  await bundle.close();
}
