import { inject } from "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** Provided by cache-for-browser.ts. */
    fixturesUrl: string;
  }
}

const FIXTURES = inject("fixturesUrl");

/** The sample as a binary cache that pages may read, as real Nix made and signed it; see test/fixtures/make-sample.sh. */
export const SAMPLE_CACHE_URL = `${FIXTURES}sample/`;

/** A part of it whose NARs are compressed; see test/fixtures/make-compressed.sh. @param compression as a NARInfo names it */
export function compressedCacheUrl(compression: string): string {
  return `${FIXTURES}compressed/${compression}/`;
}
