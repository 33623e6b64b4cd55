// @ts-check
/** Runs code of earlier commits in Chromium, to make fixtures of the stores that it wrote. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright";
import { rolldown } from "rolldown";
import { chromiumPath } from "../setup/browser-paths.mjs";

const root = resolve(import.meta.dirname, "../..");

/**
 * Bundles a script together with the source of an earlier commit, which the script imports from
 * `old/`. Runs the bundle in a page.
 *
 * @param {string} commit
 * @param {string} script file name of the script beside this one; it exports `makeFixture`
 * @param {unknown} [argument] for `makeFixture`
 * @returns {Promise<object>} the result of `makeFixture`
 */
export async function fixtureOf(commit, script, argument) {
  const old = mkdtempSync(join(tmpdir(), "fixture-"));
  try {
    const archive = execFileSync("git", ["archive", commit, "src"], { cwd: root, maxBuffer: 2 ** 30 });
    execFileSync("tar", ["x", "-C", old], { input: archive });
    symlinkSync(join(root, "node_modules"), join(old, "node_modules"));
    const bundle = await rolldown({
      input: join(import.meta.dirname, script),
      platform: "browser",
      resolve: { alias: { old: join(old, "src") } },
    });
    const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
    await bundle.close();
    return await runInPage(output[0].code, argument);
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

/**
 * Runs a script in a page, and returns its fixture.
 * @param {string} script exports `makeFixture`
 * @param {unknown} argument
 */
async function runInPage(script, argument) {
  const server = createServer((request, response) => {
    const isScript = request.url?.startsWith("/page.js");
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : "<!doctype html><title>fixture</title>");
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(undefined)));
  const address = server.address();
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${typeof address === "object" && address ? address.port : ""}/`);
    return await page.evaluate(async (arg) => (await import(/** @type {any} */ ("/page.js"))).makeFixture(arg), argument);
  } finally {
    await browser.close();
    server.close();
  }
}
