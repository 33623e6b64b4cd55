import { inject } from "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** URLs of the daemons that daemon-for-browser.ts starts. */
    daemonUrls: string[];
  }
}

const urls = inject("daemonUrls");

/** Daemons for the conformance suites, one for each. */
export const SUITE_DAEMONS: readonly string[] = urls.slice(0, -3);

/** Daemons for the tests of the page's store, one for each protocol. */
export const STORE_DAEMONS: readonly [string, string] = [urls.at(-2) ?? "", urls.at(-1) ?? ""];

/** Daemon that is read as a binary cache. */
export const CACHE_DAEMON: string = urls.at(-3) ?? "";
