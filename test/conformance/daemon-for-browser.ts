import type { TestProject } from "vitest/node";
import { startLiveDaemon } from "./live-daemon.ts";

declare module "vitest" {
  export interface ProvidedContext {
    daemonUrls: string[];
  }
}

/**
 * Number of daemons. Each suite that a page runs against a remote takes one, so that it starts with
 * an empty store. Two are for store.browser.test.ts, and one is read as a binary cache.
 */
const DAEMONS = 9;

/** Starts daemons for the browser's tests. Returns the function that stops them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const daemons = await Promise.all(Array.from({ length: DAEMONS }, () => startLiveDaemon()));
  project.provide(
    "daemonUrls",
    daemons.map(({ address }) => address),
  );
  return async () => {
    await Promise.all(daemons.map((daemon) => daemon.close()));
  };
}
