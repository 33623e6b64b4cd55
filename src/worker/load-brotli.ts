import type { BrotliLibrary } from "../compression/brotli.ts";

/** Loads the brotli decoder. Service workers can't call it: they have no dynamic `import`. */
export async function loadBrotli(): Promise<BrotliLibrary> {
  const { init, ...library } = await import("./brotli-decoder.ts");
  await init();
  return library;
}
