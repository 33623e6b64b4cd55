import { defineConfig } from "@playwright/test";

/** End-to-end tests run against the built package: `npm test` builds it first. */
export default defineConfig({
  testDir: "test/e2e",
  outputDir: "test/results/e2e",
  timeout: 120_000,
  // Two cores: a daemon, a browser and its workers fill them.
  workers: 1,
  forbidOnly: true,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
});
