import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { provideBrotli } from "../compression/brotli.ts";

/** Importing this file enables brotli decompression in Node. */

provideBrotli(async () => {
  const library = await import("brotli-dec-wasm/web");
  const path = createRequire(import.meta.url).resolve("brotli-dec-wasm/web/bg.wasm");
  await library.default({ module_or_path: await readFile(path) });
  return library;
});
