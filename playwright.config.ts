import { defineConfig } from "@playwright/test";

/** End-to-end tests. They run against the built package, which `npm test` builds first. */
export default defineConfig({
  testDir: "test/e2e",
  outputDir: "test/results/e2e",
  timeout: 120_000,
  // A daemon, a browser and its workers fill two cores.
  workers: 1,
  forbidOnly: true,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
});
