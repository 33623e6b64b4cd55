import { defineConfig } from "@playwright/test";

/** End-to-end tests. They run against the built package, which `npm test` builds first. */
export default defineConfig({
  testDir: "test/e2e",
  outputDir: "test/results/e2e",
  timeout: 120_000,
  // Each worker has its own browser and daemon. One does not keep two cores busy.
  workers: 2,
  forbidOnly: true,
  expect: { timeout: 20_000 },
  reporter: [["list"]],
});
