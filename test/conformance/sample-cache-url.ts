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

/** The sample as a binary cache that pages may read, as real Nix made and signed it; see test/fixtures/make-sample.sh. */
export const SAMPLE_CACHE_URL = `${FIXTURES}sample/`;

/** A cache that another program wrote. @param name of its folder in test/fixtures/caches */
export function otherCacheUrl(name: string): string {
  return `${FIXTURES}caches/${name}/`;
}

/** A part of it whose NARs are compressed; see test/fixtures/make-compressed.sh. @param compression as a NARInfo names it */
export function compressedCacheUrl(compression: string): string {
  return `${FIXTURES}compressed/${compression}/`;
}

/** The sample in a cache that fails as `script` says. */
export function flakySampleUrl(script: Script): string {
  return flakyCacheUrl(inject("flakyOrigin"), script);
}

/** What was asked of such a cache. */
export async function askedOf(cache: string): Promise<Asked[]> {
  return (await (await fetch(`${cache}asked`)).json()) as Asked[];
}
