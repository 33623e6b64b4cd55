import { dirname, resolve } from "node:path";
import { type Plugin as RolldownPlugin, rolldown } from "rolldown";
import type { Plugin } from "vite";

/** Query that Vite adds to the URL of a worker's script. */
const WORKER_QUERY = "?worker_file&type=module";

/** The brotli decoder remains a separate script, as in `src/worker/bundle.mjs`. */
const lazyBrotli: RolldownPlugin = {
  name: "lazy-brotli",
  resolveId: (id, importer) =>
    importer && id.endsWith("/brotli-decoder.ts") ? { id: resolve(dirname(importer), id), external: "absolute" } : null,
};

/** Bundles by path of the script. The projects of all browsers share them. */
const bundles = new Map<string, Promise<string>>();

async function bundle(script: string): Promise<string> {
  const build = await rolldown({ input: script, platform: "browser", plugins: [lazyBrotli] });
  try {
    const { output } = await build.generate({ format: "esm" });
    return output[0].code;
  } finally {
    await build.close();
  }
}

/**
 * Serves the script of each worker as one file, as in the package. Nearly every test in a browser
 * starts workers, and each worker would otherwise load more than a hundred modules by itself.
 */
export function bundledWorkers(): Plugin {
  return {
    name: "bundled-workers",
    // In watch mode, a bundle would not be current after a change.
    apply: () => process.argv.includes("run"),
    enforce: "pre",
    load(id) {
      if (!id.endsWith(WORKER_QUERY)) return null;
      const script = id.slice(0, -WORKER_QUERY.length);
      const found = bundles.get(script) ?? bundle(script);
      bundles.set(script, found);
      return found;
    },
  };
}
