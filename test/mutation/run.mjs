// @ts-check
/**
 * `npm run mutation`: changes the code of src/castore and src/store in small ways (mutants), runs
 * the tests for each change, and tells how many changes the tests notice. Works on a copy of the
 * repository in the directory for temporary files.
 *
 *     npm run mutation -- [--survivors] [--jobs N] [--incremental FILE] [GROUP | FILE]...
 *
 * Without groups, all of groups.mjs are tested. A file such as `src/store/sync.ts` stands for its
 * mutants alone. `--survivors` lists the mutants that no test noticed. `--incremental` keeps the
 * results in a file, and tests again only the mutants whose code or tests changed since.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";
import { GROUPS, problemsOfGroups, sourcesOf, testsOf } from "./groups.mjs";

/** @typedef {Awaited<ReturnType<Stryker["runMutationTest"]>>[number]} Mutant */

const root = resolve(import.meta.dirname, "../..");

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`mutation: ${message}\n`);
  process.exit(2);
}

/**
 * Splits the arguments into groups, with the files whose mutants are tested.
 *
 * @param {readonly string[]} names
 * @returns {Map<string, string[]>}
 */
function chosen(names) {
  if (names.length === 0) return new Map(Object.keys(GROUPS).map((group) => [group, sourcesOf(group)]));
  /** @type {Map<string, string[]>} */
  const files = new Map();
  for (const name of names) {
    const group = name.endsWith(".ts") ? Object.keys(GROUPS).find((group) => sourcesOf(group).includes(name)) : name;
    if (group === undefined || GROUPS[group] === undefined)
      fail(`there is no group or source file ${name}; the groups are ${Object.keys(GROUPS).join(", ")}`);
    files.set(group, [...(files.get(group) ?? []), ...(group === name ? sourcesOf(group) : [name])]);
  }
  return files;
}

/**
 * @param {string} group
 * @param {readonly string[]} files
 * @param {string} temporary
 * @param {{ jobs: number, incremental: string | undefined }} options
 */
function testMutants(group, files, temporary, { jobs, incremental }) {
  return new Stryker({
    mutate: [...files],
    testFiles: testsOf(group),
    testRunner: "vitest",
    vitest: { configFile: "test/mutation/vitest.config.mjs", related: false },
    plugins: ["@stryker-mutator/vitest-runner", resolve(import.meta.dirname, "error-messages.mjs")],
    ignorers: ["error-messages"],
    coverageAnalysis: "perTest",
    // Mutants of constants, which would need all tests of the group each.
    ignoreStatic: true,
    disableTypeChecks: false,
    // Stryker would rewrite the file with TypeScript's API, which TypeScript 7 doesn't have.
    tsconfigFile: "none",
    ignorePatterns: ["dist", "demo", "docs", "protos", "test/bench", "test/e2e", "test/fuzz", "test/crash"],
    tempDirName: temporary,
    cleanTempDir: "always",
    concurrency: jobs,
    timeoutMS: 12_000,
    dryRunTimeoutMinutes: 20,
    reporters: process.stdout.isTTY ? ["progress"] : [],
    // Stryker warns if it has no reporter.
    logLevel: "error",
    ...(incremental === undefined ? {} : { incremental: true, incrementalFile: resolve(`${incremental}.${group}.json`) }),
  }).runMutationTest();
}

class Score {
  killed = 0;
  survived = 0;
  untested = 0;

  /** @param {Mutant} mutant */
  add({ status }) {
    if (status === "Killed" || status === "Timeout") this.killed++;
    if (status === "Survived") this.survived++;
    if (status === "NoCoverage") this.untested++;
  }

  toString() {
    const total = this.killed + this.survived + this.untested;
    const share = total === 0 ? "-" : `${((100 * this.killed) / total).toFixed(1)} %`;
    return `${share.padStart(7)}${[total, this.killed, this.survived, this.untested].map((count) => String(count).padStart(10)).join("")}`;
  }
}

/** @param {Mutant} mutant */
function line({ fileName, location, mutatorName, replacement = "", status }) {
  const place = `${relative(root, fileName)}:${location.start.line}:${location.start.column}`;
  return `  ${place} ${status === "NoCoverage" ? "no test: " : ""}${mutatorName} -> ${replacement.replace(/\s+/g, " ").slice(0, 120)}\n`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    survivors: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
    incremental: { type: "string" },
  },
});
for (const problem of problemsOfGroups()) fail(`test/mutation/groups.mjs: ${problem}`);
process.chdir(root);
const total = new Score();
process.stdout.write(`${"".padEnd(42)}  score   mutants    killed  survived   no test\n`);
for (const [group, files] of chosen(positionals)) {
  const temporary = await mkdtemp(join(tmpdir(), "mutation-"));
  // StrykerJS exits on a signal without returning.
  process.once("exit", () => rmSync(temporary, { recursive: true, force: true }));
  try {
    const mutants = await testMutants(group, files, temporary, { jobs: Number(values.jobs), incremental: values.incremental });
    for (const file of files) {
      const score = new Score();
      const own = mutants.filter(({ fileName }) => relative(root, fileName) === file);
      for (const mutant of own) {
        score.add(mutant);
        total.add(mutant);
      }
      if (own.some(({ status }) => status !== "Ignored")) process.stdout.write(`${file.padEnd(42)}${score}\n`);
      if (!values.survivors) continue;
      for (const mutant of own)
        if (mutant.status === "Survived" || mutant.status === "NoCoverage") process.stdout.write(line(mutant));
    }
  } catch (error) {
    process.stderr.write(`mutation: can't test the mutants of ${group}: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
    break;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
if (process.exitCode === undefined) process.stdout.write(`${"total".padEnd(42)}${total}\n`);
