import { StoreError } from "../error.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * Total characters of a path's signatures: some thousands of signatures. Everybody with write
 * access can add signatures, and readers refuse a NARInfo that is longer than `NARINFO_MAX_LENGTH`.
 */
const MAX_SIGNATURES_LENGTH = 256 * 1024;

/**
 * Returns the PathInfo that a `PathInfoService` stores when `info` is put over `earlier`. It is
 * `info` with the signatures of both, and with the deriver and content address of `earlier` if it
 * has them. Each backend calls this function in one atomic step with the write. So two concurrent
 * writers lose no signature, and different content never replaces the stored content silently.
 *
 * @throws StoreError `conflict` if `earlier` has other content or other references, because its
 *   signatures cover both; `invalid` if the path gets too many signatures
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
  throw new StoreError("invalid", `${info.storePath} would have ${info.signatures.length} signatures, too many to store`);
}

/**
 * Checks that both describe the same path with the same content and references.
 *
 * @param info its references may be absolute and in any order
 * @throws StoreError `conflict` if path, NAR hash or references differ
 */
export function checkSameContent(info: Pick<PathInfo, "storePath" | "narHash" | "references">, earlier: PathInfo): void {
  if (earlier.storePath !== info.storePath || earlier.narHash !== info.narHash)
    throw new StoreError(
      "conflict",
      `${info.storePath} with NAR hash ${info.narHash} conflicts with ${earlier.storePath} in the store, which has NAR hash ${earlier.narHash}`,
    );
  if (referenceKey(info.references) !== referenceKey(earlier.references))
    throw new StoreError("conflict", `${info.storePath} is already in the store with other references`);
}

function referenceKey(references: readonly string[]): string {
  return [...new Set(references.map((reference) => reference.slice(reference.lastIndexOf("/") + 1)))].sort().join();
}
