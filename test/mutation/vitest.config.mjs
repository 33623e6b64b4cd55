// @ts-check
import { defineConfig } from "vitest/config";

/** Configuration of Vitest for the mutation tester: the tests in Node only. run.mjs names them. */
export default defineConfig({
  test: {
    include: ["test/{castore,store,node}/*.test.ts", "test/mutation/memory-suites.ts"],
    exclude: ["**/*.browser.test.ts"],
    setupFiles: ["test/mutation/skip-slow.ts"],
    isolate: false,
    testTimeout: 10_000,
    hookTimeout: 10_000,
  },
});
