import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startFlakyServer } from "../setup/flaky-server.ts";
import { serveFolder } from "../setup/serve-folder.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** URL of test/fixtures, whose binary caches pages may read. Ends in a slash. */
    fixturesUrl: string;
    /**
     * URL of a server that has the sample and fails as the script of `flakyCacheUrl` says. Ends in
     * a slash.
     */
    flakyOrigin: string;
  }
}

const FIXTURES = join(import.meta.dirname, "../fixtures");

/** Serves the fixtures for the browser's tests. Returns the function that stops the servers. */
export default async function setup(project: TestProject): Promise<() => void> {
  const server = await serveFolder(FIXTURES);
  project.provide("fixturesUrl", server.url);
  const flaky = await startFlakyServer((path) => readFile(join(FIXTURES, "sample", path)).catch(() => undefined));
  project.provide("flakyOrigin", flaky.origin);
  return () => {
    server.close();
    flaky.close();
  };
}
