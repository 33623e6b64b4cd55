import type { BrotliLibrary } from "../compression/brotli.ts";

/** Loads the decoder of brotli. Service workers can't: they have no dynamic `import`. */
export async function loadBrotli(): Promise<BrotliLibrary> {
  const { init, ...library } = await import("./brotli-decoder.ts");
  await init();
  return library;
}
