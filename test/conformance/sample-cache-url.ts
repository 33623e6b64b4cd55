import { inject } from "vitest";
import { type Asked, flakyCacheUrl, type Script } from "../setup/flaky-script.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Provided by cache-for-browser.ts. */
    fixturesUrl: string;
    flakyOrigin: string;
  }
}

const FIXTURES = inject("fixturesUrl");

/**
 * URL of the sample as a binary cache that pages may read. Real Nix made and signed it: see
 * test/fixtures/make-sample.sh.
 */
export const SAMPLE_CACHE_URL = `${FIXTURES}sample/`;

/**
 * Returns the URL of a cache that another program wrote.
 *
 * @param name name of its folder in test/fixtures/caches
 */
export function otherCacheUrl(name: string): string {
  return `${FIXTURES}caches/${name}/`;
}

/**
 * Returns the URL of a part of the sample whose NARs are compressed: see
 * test/fixtures/make-compressed.sh.
 *
 * @param compression name of the compression, as in a NARInfo
 */
export function compressedCacheUrl(compression: string): string {
  return `${FIXTURES}compressed/${compression}/`;
}

/** Returns the URL of the sample in a cache that fails as `script` says. */
export function flakySampleUrl(script: Script): string {
  return flakyCacheUrl(inject("flakyOrigin"), script);
}

/** Returns the requests that such a cache has received. */
export async function askedOf(cache: string): Promise<Asked[]> {
  return (await (await fetch(`${cache}asked`)).json()) as Asked[];
}
