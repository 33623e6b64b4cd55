// @ts-check
/**
 * Makes v1-early.json and v1-late.json: all records of databases of version 1, as the code of that
 * time wrote them. The script takes this code from the repository's history, bundles it and runs it
 * in Chromium. It imports `V1_TREES`, and deletes the last of them. Then it reads the records
 * without that code. For long values, which are parts of `V1_LONG`, it keeps only offset and
 * length.
 *
 * Run it with `node test/worker/make-v1-fixtures.mjs`.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright";
import { rolldown } from "rolldown";
import { chromiumPath } from "../setup/browser-paths.mjs";

const root = resolve(import.meta.dirname, "../..");

/** The last commit before blobs had outboards, and the last one before packs. */
const VERSIONS = { "v1-early": "84a5d24", "v1-late": "1c608f5" };

for (const [name, commit] of Object.entries(VERSIONS)) {
  const old = mkdtempSync(join(tmpdir(), "v1-fixture-"));
  try {
    const archive = execFileSync("git", ["archive", commit, "src"], { cwd: root, maxBuffer: 2 ** 30 });
    execFileSync("tar", ["x", "-C", old], { input: archive });
    symlinkSync(join(root, "node_modules"), join(old, "node_modules"));
    const bundle = await rolldown({
      input: join(import.meta.dirname, "v1-fixture-page.mjs"),
      platform: "browser",
      resolve: { alias: { old: join(old, "src") } },
    });
    const { output } = await bundle.generate({ format: "esm" });
    await bundle.close();
    const records = await runInPage(output[0].code);
    writeFileSync(join(import.meta.dirname, `${name}.json`), `${JSON.stringify({ commit, records }, undefined, 1)}\n`);
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

/**
 * Runs a script in a page, and returns its fixture.
 * @param {string} script exports `makeFixture`
 */
async function runInPage(script) {
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : "<!doctype html><title>fixture</title>");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(undefined)));
  const address = server.address();
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${typeof address === "object" && address ? address.port : ""}/`);
    return await page.evaluate(async () => (await import(/** @type {any} */ ("/page.js"))).makeFixture());
  } finally {
    await browser.close();
    server.close();
  }
}
