// @ts-check
import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";

/**
 * Orders the test files by the number of modules that they import. Files with few imports start
 * fastest, and most mutants fail in the test of their own file.
 */
class LightFirst extends BaseSequencer {
  /** @type {Map<string, number>} */
  #imports = new Map();

  /** @type {BaseSequencer["sort"]} */
  async sort(files) {
    return [...files].sort((a, b) => this.#count(a.moduleId) - this.#count(b.moduleId));
  }

  /** @param {string} file */
  #count(file) {
    const count = this.#imports.get(file) ?? readFileSync(file, "utf8").split(" from ").length;
    this.#imports.set(file, count);
    return count;
  }
}

/** Configuration of Vitest for the mutation tester: the tests in Node only. run.mjs names them. */
export default defineConfig({
  test: {
    include: ["test/{castore,store}/*.test.ts", "test/mutation/memory-suites.ts"],
    exclude: ["**/*.browser.test.ts"],
    setupFiles: ["test/mutation/skip-slow.ts"],
    sequence: { sequencer: LightFirst },
    // Mutants of module state are left out, so the test files of a mutant may share their modules.
    isolate: false,
    // A test that hangs ends before StrykerJS would restart Vitest (`timeoutMS` in run.mjs).
    testTimeout: 8_000,
    hookTimeout: 8_000,
  },
});
