import { StoreError } from "../error.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * Characters of all signatures of a path together: some thousands of signatures. Whoever may write
 * can add them, and readers refuse a NARInfo that is longer than `NARINFO_MAX_LENGTH`.
 */
const MAX_SIGNATURES_LENGTH = 256 * 1024;

/**
 * What a `PathInfoService` stores if `info` is put where `earlier` is: `info`, with the signatures of
 * both, and with the deriver and content address that `earlier` has, if it has them. Each backend
 * calls this in one atomic step with the write, so that of two writers at once neither loses a
 * signature, and no second content wins silently.
 *
 * @throws StoreError `conflict` if `earlier` has other content or other references, which signatures
 *   vouch for; `invalid` for more signatures than a path can have
 */
export function mergePathInfo(info: PathInfo, earlier: PathInfo | undefined): PathInfo {
  if (!earlier) return checkSignaturesLength(info);
  checkSameContent(info, earlier);
  const signatures = [...new Set([...earlier.signatures, ...info.signatures])];
  const merged = { ...info, deriver: earlier.deriver ?? info.deriver, ca: earlier.ca ?? info.ca, signatures };
  return signatures.length > earlier.signatures.length ? checkSignaturesLength(merged) : merged;
}

function checkSignaturesLength(info: PathInfo): PathInfo {
  const length = info.signatures.reduce((sum, signature) => sum + signature.length, 0);
  if (length <= MAX_SIGNATURES_LENGTH) return info;
  throw new StoreError("invalid", `${info.storePath} would have ${info.signatures.length} signatures, too many to keep`);
}

/**
 * @param info its references may be absolute and in any order
 * @throws StoreError `conflict` unless both are of the same path with the same content and the same references
 */
export function checkSameContent(info: Pick<PathInfo, "storePath" | "narHash" | "references">, earlier: PathInfo): void {
  if (earlier.storePath !== info.storePath || earlier.narHash !== info.narHash)
    throw new StoreError(
      "conflict",
      `${info.storePath} with NAR hash ${info.narHash} is in the store already as ${earlier.storePath} with ${earlier.narHash}`,
    );
  if (referenceKey(info.references) !== referenceKey(earlier.references))
    throw new StoreError("conflict", `${info.storePath} is in the store already, with other references`);
}

function referenceKey(references: readonly string[]): string {
  return [...new Set(references.map((reference) => reference.slice(reference.lastIndexOf("/") + 1)))].sort().join();
}
