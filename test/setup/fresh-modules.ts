import { readFileSync } from "node:fs";
import { afterAll, expect, vi } from "vitest";

/**
 * Gives a test file modules of its own if it replaces some of them. The other files of a worker
 * share their modules, because loading them again took a fifth of the time of Node's tests.
 */

const { testPath } = expect.getState();
if (testPath && readFileSync(testPath, "utf8").includes("vi.mock(")) {
  vi.resetModules();
  afterAll(() => {
    vi.resetModules();
  });
}
