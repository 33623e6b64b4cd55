import type { TestProject } from "vitest/node";
import { startLiveDaemon } from "./live-daemon.ts";

declare module "vitest" {
  export interface ProvidedContext {
    daemonUrls: string[];
  }
}

/** One daemon for each suite that a page runs against a remote, so that each starts with an empty store. */
const DAEMONS = 6;

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
