import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/**
 * `test/` mirrors `src/`: `test/nix/nar-parser.test.ts` tests `src/nix/nar-parser.ts`, so that
 * everybody finds the tests of a file, and the file of a test.
 */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** With fewer decisions, a file is glue, and the tests of its callers cover it. */
const ENOUGH_DECISIONS = 3;
/** Folders without tests of their own, with the reason. */
const EXCEPT: Readonly<Record<string, string>> = {
  "src/conformance/": "its files are tests, which test/conformance runs on every backend",
  "src/wire/gen/": "generated code",
  "src/hash/kernel/assembly/": "compiled to WebAssembly, which the tests of test/hash run",
  "src/hash/kernel/generate/": "runs only in a build; kernel-current.test.ts compiles its result",
  "src/compression/kernel/assembly/": "compiled to WebAssembly, which the tests of test/compression run",
};

/** Counts the places where code takes one of several ways. Comments don't count. */
function decisionsOf(source: string): number {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
  return code.match(/\b(if|switch|for|while|throw|catch)\b|&&|\|\||\?\?|\? /g)?.length ?? 0;
}

const FILES = readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
  .filter((file) => !Object.keys(EXCEPT).some((folder) => file.startsWith(folder)));

test("decisions are counted, comments are not", () => {
  expect(decisionsOf("/** if */\nexport const one = 1; // for")).toBe(0);
  expect(decisionsOf("if (a && b) throw c;\nfor (const d of e ?? []) f(d ? 1 : 2);")).toBe(6);
});

test("each source file that makes decisions has a test file with its name", () => {
  const deciding = FILES.filter((file) => decisionsOf(readFileSync(join(ROOT, file), "utf8")) >= ENOUGH_DECISIONS);
  expect(deciding.length).toBeGreaterThan(250);
  const without = deciding.filter((file) => {
    const test = join(ROOT, file.replace(/^src/, "test").replace(/\.ts$/, ""));
    return !existsSync(`${test}.test.ts`) && !existsSync(`${test}.browser.test.ts`);
  });
  expect(without).toEqual([]);
});

test("the exceptions exist", () => {
  for (const folder of Object.keys(EXCEPT)) expect(existsSync(join(ROOT, folder)), folder).toBe(true);
});
