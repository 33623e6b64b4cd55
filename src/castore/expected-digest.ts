import { equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type Digest, formatDigest } from "./digest.ts";

/**
 * Checks the digest of a blob that is being written.
 *
 * @throws StoreError `corrupt` if `expected` is set and differs
 */
export function checkExpected(actual: Digest, expected: Digest | undefined): void {
  if (!expected || equalBytes(actual, expected)) return;
  throw new StoreError("corrupt", `the bytes for blob ${formatDigest(expected)} have the digest ${formatDigest(actual)}`);
}
