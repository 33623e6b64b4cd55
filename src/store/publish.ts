import { StoreError } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";
import type { PathInfoService } from "./path-info-service.ts";

/**
 * Characters of all signatures of a path together: some thousands. Whoever may write can add them, whose they are is not looked at, and a NARInfo
 * is not read if it is longer than `NARINFO_MAX_LENGTH`.
 */
const MAX_SIGNATURES_LENGTH = 256 * 1024;

/**
 * Puts `info`, whose content is in the store, and keeps what an earlier PathInfo of the same path knew more: signatures, deriver,
 * content address.
 *
 * @throws StoreError `conflict` if the path is there with other content; `invalid` for more signatures than a path can have
 */
export async function publishPathInfo(
  pathInfos: PathInfoService,
  info: PathInfo,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<PathInfo> {
  const earlier = await pathInfos.get(parseHashPart(info.storePath), options);
  const merged = earlier ? mergePathInfo(info, earlier) : info;
  if (merged.signatures.length > (earlier?.signatures.length ?? 0)) checkSignaturesLength(merged);
  options.signal?.throwIfAborted();
  return pathInfos.put(merged, options);
}

function checkSignaturesLength({ storePath, signatures }: PathInfo): void {
  const length = signatures.reduce((sum, signature) => sum + signature.length, 0);
  if (length > MAX_SIGNATURES_LENGTH)
    throw new StoreError("invalid", `${storePath} would have ${signatures.length} signatures, more than there is room for`);
}

/** `info` with what only `earlier` knows. @throws StoreError `conflict` if they have not the same content */
export function mergePathInfo(info: PathInfo, earlier: PathInfo): PathInfo {
  checkSameContent(info, earlier);
  return {
    ...info,
    deriver: info.deriver ?? earlier.deriver,
    ca: info.ca ?? earlier.ca,
    signatures: [...new Set([...earlier.signatures, ...info.signatures])],
  };
}

/** @throws StoreError `conflict` if both are of the same path, but not of the same content */
export function checkSameContent(info: Pick<PathInfo, "storePath" | "narHash">, earlier: PathInfo): void {
  if (earlier.storePath === info.storePath && earlier.narHash === info.narHash) return;
  throw new StoreError(
    "conflict",
    `${info.storePath} with NAR hash ${info.narHash} is in the store already as ${earlier.storePath} with ${earlier.narHash}`,
  );
}
