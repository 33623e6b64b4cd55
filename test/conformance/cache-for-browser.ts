import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { serveFolder } from "../setup/serve-folder.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Of test/fixtures, whose binary caches pages may read. Ends in a slash. */
    fixturesUrl: string;
  }
}

/** Serves the sample before the browser's tests, and no more afterwards. */
export default async function setup(project: TestProject): Promise<() => void> {
  const server = await serveFolder(join(import.meta.dirname, "../fixtures"));
  project.provide("fixturesUrl", server.url);
  return () => server.close();
}
