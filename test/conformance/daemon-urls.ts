import { inject } from "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** Provided by daemon-for-browser.ts. */
    daemonUrls: string[];
  }
}

const urls = inject("daemonUrls");

/** For the conformance suites, one each. */
export const SUITE_DAEMONS: readonly string[] = urls.slice(0, -3);

/** For the tests of the page's store: one each protocol. */
export const STORE_DAEMONS: readonly [string, string] = [urls.at(-2) ?? "", urls.at(-1) ?? ""];

/** Read as a binary cache. */
export const CACHE_DAEMON: string = urls.at(-3) ?? "";
