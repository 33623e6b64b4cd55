import { StoreError } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";
import type { PathInfoService } from "./path-info-service.ts";

/**
 * Puts `info`, whose content is in the store, and keeps what an earlier PathInfo of the same path knew more: signatures, deriver,
 * content address.
 *
 * @throws StoreError `conflict` if the path is there with other content
 */
export async function publishPathInfo(
  pathInfos: PathInfoService,
  info: PathInfo,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<PathInfo> {
  const earlier = await pathInfos.get(parseHashPart(info.storePath), options);
  const merged = earlier ? mergePathInfo(info, earlier) : info;
  options.signal?.throwIfAborted();
  return pathInfos.put(merged, options);
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
