import { inject } from "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** Provided by cache-for-browser.ts. */
    sampleCacheUrl: string;
  }
}

/** The sample as a binary cache that pages may read, as real Nix made and signed it; see test/fixtures/make-sample.sh. */
export const SAMPLE_CACHE_URL = inject("sampleCacheUrl");
