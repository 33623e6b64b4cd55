import { createHash } from "node:crypto";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const root = fileURLToPath(new URL(".", import.meta.url));
const outDir = join(root, "../dist/viewer");
const sample = join(root, "../test/fixtures/sample");

export default defineConfig({
  root,
  base: "./",
  build: {
    outDir,
    emptyOutDir: true,
    target: "es2022",
    // Keep small files as files: the page's content security policy does not allow scripts and
    // styles from `data:` addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: join(root, "index.html"), sw: join(root, "../src/browser/service-worker.ts") },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  worker: { format: "es" },
  plugins: [registration(), offline()],
});

/**
 * Keeps the bundler from removing the registration of the elements. package.json lists the modules
 * with side effects in `dist` only, so the same module in `src` counts as one without.
 */
function registration(): Plugin {
  return {
    name: "registration",
    transform: {
      filter: { id: /\/src\/elements\/index\.ts$/ },
      handler: (code) => ({ code, map: null, moduleSideEffects: true }),
    },
  };
}

/**
 * Adds the sample closure, a binary cache of files, at `sample/`. Then tells the service worker
 * which files there are, by putting the list in front of its script.
 */
function offline(): Plugin {
  return {
    name: "offline",
    apply: "build",
    // After all files are on the disk: workers and public files are not all part of the bundle that
    // plugins see.
    writeBundle: {
      order: "post",
      sequential: true,
      async handler() {
        await cp(sample, join(outDir, "sample"), { recursive: true });
        const script = await readFile(join(outDir, "sw.js"), "utf8");
        const files = await digests();
        const version = createHash("sha256").update(JSON.stringify(files)).update(script).digest("hex").slice(0, 16);
        await writeFile(join(outDir, "sw.js"), `self.precache = ${JSON.stringify({ version, files })};\n${script}`);
      },
    },
  };
}

/** Digests of all files by path, sorted, so that the same files give the same service worker. */
async function digests(): Promise<Record<string, string>> {
  const entries = await readdir(outDir, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name !== "sw.js" && !entry.name.endsWith(".map"))
    .map((entry) => relative(outDir, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
  const files: Record<string, string> = {};
  for (const path of paths) {
    const content = await readFile(join(outDir, path));
    files[path] = `sha256-${createHash("sha256").update(content).digest("base64")}`;
  }
  return files;
}
