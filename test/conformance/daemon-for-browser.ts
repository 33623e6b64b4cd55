import type { TestProject } from "vitest/node";
import { startLiveDaemon } from "./live-daemon.ts";

declare module "vitest" {
  export interface ProvidedContext {
    daemonUrls: string[];
  }
}

/** One for each suite that a page runs against a remote (they pop), so that each starts with an empty store; two for store.browser.test.ts; and one that is a binary cache. */
const DAEMONS = 9;

/** Starts daemons before the browser's tests, and ends them afterwards. */
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
